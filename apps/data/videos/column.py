"""A column of clips: the paths and arrays of a source, each looked at once, none decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from apps import environment
from apps.data.finding import (
    SHOWN,
    attempted,
    exists,
    failure,
    find,
    missing,
    named,
    value_of,
)
from apps.data.raw import RawColumn
from apps.data.videos.pose import SUFFIX as POSE_SUFFIX
from apps.data.videos.pose import Pose, probe_pose
from apps.data.videos.probing import from_bytes, probe
from apps.data.videos.video import Video
from apps.errors import UserError

# Manifests of clips name files in these folders without their names.
FOLDERS = ("", "clips", "videos", "video", "data")
_RATE_KEYS = ("fps", "frame_rate", "rate")
_HELD_KEYS = ("array", "frames", "video")

# A clip, and how much of it is there.
_Probed = tuple[Video | Pose, float]
_Job = Callable[[], _Probed]


def is_clip(value: Any) -> bool:
    """Whether a value is one clip: a video, a path, the bytes of a file, or frames and a rate."""
    if isinstance(value, Video | Pose | os.PathLike | str | bytes):
        return True
    if isinstance(value, Mapping):
        return value.get("bytes") is not None or _rate(value) is not None or set(value) == {"path"}
    return isinstance(value, tuple | list) and len(value) == 2 and np.ndim(value[0]) > 1


def read_videos(column: RawColumn) -> list[Video | Pose | None]:
    """Look at every clip of a column; a file that several rows name is looked at once.

    Args:
        column: paths of files and of folders of images, videos, `(array, frames a second)`, the
            bytes of a file, dictionaries of `array` and `fps`, of `bytes` or of `path`. Paths that
            are `str`, as manifests have them, start in the column's folder; a `Path` is taken as it
            is.

    Returns:
        A clip for each row, None where the value is missing. A clip that cannot be used has a
        `fault`, so that whoever trains may leave it out.

    Raises:
        UserError: files are missing or may not be read, values are no clips, or some are videos and
            others joints. All rows are checked, so that the message can say how many.
    """
    jobs: dict[Any, _Job] = {}
    keys: list[Any] = []
    lacking: list[str] = []
    for row, (cell, place) in enumerate(zip(column.values, column.places, strict=True)):
        value = value_of(cell)
        if isinstance(value, Mapping) and value.get("bytes") is None and value.get("path"):
            value = value_of(value["path"]) if _rate(value) is None else value
        if value is None or isinstance(value, Video | Pose):
            keys.append(value)
        elif isinstance(value, str | Path):
            path = value if isinstance(value, Path) else find(value, column.folder, FOLDERS)
            keys.append(path)
            if path not in jobs:
                jobs[path] = partial(_probed, path)
                if not exists(path):
                    lacking.append(named(str(value), place, column.source))
        else:
            keys.append(row)
            jobs[row] = partial(_held, value, column.name)
    if lacking:
        raise missing(lacking, len(jobs), column.source, column.folder, "clips")
    places = {
        key: place
        for key, place in zip(reversed(keys), reversed(column.places), strict=True)
        if not isinstance(key, Video | Pose)
    }
    found = _looked_at(jobs, places, column.source)
    clips = [key if key is None or isinstance(key, Video | Pose) else found[key] for key in keys]
    _check_alike(clips, column)
    return clips


def _rate(value: Mapping[str, Any]) -> Any:
    return next((value[key] for key in _RATE_KEYS if key in value), None)


def _probed(path: Path) -> _Probed:
    return probe_pose(path) if path.suffix.lower() == POSE_SUFFIX else probe(path)


def _held(value: Any, name: str) -> _Probed:
    """A clip of frames, or of a file's bytes, in memory."""
    array, rate = value, None
    if isinstance(value, bytes):
        return from_bytes(value)
    if isinstance(value, Mapping):
        if value.get("bytes") is not None:
            return from_bytes(value["bytes"], str(value.get("path") or ""))
        array = next((value[key] for key in _HELD_KEYS if key in value), None)
        rate = _rate(value)
    elif isinstance(value, tuple | list) and is_clip(value):
        array, rate = value
    if array is None or not np.ndim(array):
        raise UserError(
            f"the {name} is of type {type(value).__name__}, not a clip; "
            "give a path, or (array, frames a second)"
        )
    if rate is None:
        raise UserError(f"the {name} is an array that has no rate; give (array, frames a second)")
    return Video.of(array, rate), 1.0


def _looked_at(
    jobs: Mapping[Any, _Job], places: Mapping[Any, str], source: str
) -> dict[Any, Video | Pose]:
    """The clips of all jobs by key; failures are reported once all jobs have been tried."""
    failed: dict[Any, UserError] = {}
    found: dict[Any, Video | Pose] = {}
    cut_off: list[str] = []
    gaps: list[str] = []
    for key, result in attempted(jobs, "clips"):
        if isinstance(result, UserError):
            failed[key] = result
            continue
        found[key], share = result
        if share < 1:
            into = gaps if isinstance(found[key], Pose) else cut_off
            into.append(f"{found[key].path or places[key]} ({100 * share:.0f} %)")
    if failed:
        raise failure(failed, places, len(jobs))
    total = len(jobs)
    _say(cut_off, f"{source}: {len(cut_off)} of {total} clips are cut off; what is left is used")
    _say(
        gaps,
        f"{source}: {len(gaps)} of {total} sequences lack joints; the nearest frame that has one "
        "stands for it",
    )
    return found


def _say(those: Sequence[str], what: str) -> None:
    if those:
        shown = ", ".join(those[:SHOWN]) + (", …" if len(those) > SHOWN else "")
        environment.say(f"{what}: {shown}")


def _check_alike(clips: Sequence[Video | Pose | None], column: RawColumn) -> None:
    """Refuse videos beside sequences of joints, and sequences of different bodies."""
    usable = [
        (clip, place)
        for clip, place in zip(clips, column.places, strict=True)
        if clip is not None and not clip.fault
    ]
    forms: dict[Any, str] = {}
    for clip, place in usable:
        form = (clip.joints, clip.dims) if isinstance(clip, Pose) else "video"
        forms.setdefault(form, place)
    if len(forms) < 2:
        return
    (first, there), (other, here), *_ = forms.items()
    if "video" in forms:
        joints = here if first == "video" else there
        raise UserError(
            f"{column.source} mixes videos, such as {forms['video']}, with joints, such as "
            f"{joints}; train on one of the two"
        )
    raise UserError(
        f"{column.source} mixes bodies: {there} has {first[0]} joints of {first[1]} coordinates, "
        f"{here} {other[0]} of {other[1]}; train on one of the two"
    )
