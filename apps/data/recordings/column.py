"""A column of recordings: the paths and arrays of a source, each decoded once into a clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from apps.data.files import explained
from apps.data.finding import attempted, exists, failure, find, missing, named, value_of
from apps.data.raw import RawColumn
from apps.data.recordings.clip import Clip, spooled
from apps.data.recordings.decoding import decode, decode_bytes
from apps.errors import UserError

# Common Voice and LJSpeech keep files in these folders without naming them in the paths.
_FOLDERS = ("", "clips", "wavs")
_RATE_KEYS = ("sampling_rate", "sample_rate", "rate")

_Job = Callable[[], Clip]


def is_recording(value: Any) -> bool:
    """Whether a value is one recording: a clip, a path, or samples with their rate."""
    if isinstance(value, Clip | os.PathLike | str | bytes):
        return True
    if isinstance(value, Mapping):
        return "bytes" in value or ("array" in value and any(key in value for key in _RATE_KEYS))
    return isinstance(value, tuple | list) and len(value) == 2 and np.ndim(value[0]) > 0


def read_clips(column: RawColumn) -> list[Clip | None]:
    """Decode a column; a file that several rows name is decoded once.

    Args:
        column: paths, clips, `(array, rate)`, the bytes of a file, dictionaries of `array` and
            `sampling_rate` or of `bytes`. Paths that are `str`, as manifests have them, start in
            the column's folder; a `Path` is taken as it is.

    Returns:
        A clip for each row, None where the value is missing.

    Raises:
        UserError: files are missing or cannot be decoded, or values are not recordings. All rows
            are checked, so that the message can say how many.
    """
    jobs: dict[Any, _Job] = {}
    keys: list[Any] = []
    lacking: list[str] = []
    for row, (cell, place) in enumerate(zip(column.values, column.places, strict=True)):
        value = value_of(cell)
        if value is None:
            keys.append(None)
        elif isinstance(value, Clip) and value.count:
            keys.append(value)
        elif isinstance(value, str | Path):
            path = value if isinstance(value, Path) else find(value, column.folder, _FOLDERS)
            keys.append(path)
            if path not in jobs:
                jobs[path] = partial(_decode_file, path)
                if not exists(path):
                    lacking.append(named(str(value), place, column.source))
        else:
            keys.append(row)
            jobs[row] = partial(_clip_of, value, column.name)
    if lacking:
        raise missing(lacking, len(jobs), column.source, column.folder, "audio files")
    places = dict(zip(reversed(keys), reversed(column.places), strict=True))
    clips = _decoded(jobs, places)
    return [key if key is None or isinstance(key, Clip) else clips[key] for key in keys]


def _decode_file(path: Path) -> Clip:
    with explained(path):
        return decode(path)


def _clip_of(value: Any, name: str) -> Clip:
    """A clip from samples or from a file's bytes in memory."""
    array, rate = value, None
    if isinstance(value, Clip):
        array, rate = value.samples, value.rate
    if isinstance(value, bytes):
        return decode_bytes(value)
    if isinstance(value, Mapping):
        if value.get("bytes") is not None:
            return decode_bytes(value["bytes"], str(value.get("path") or ""))
        array = value.get("array")
        rate = next((value[key] for key in _RATE_KEYS if key in value), None)
    elif isinstance(value, tuple | list) and is_recording(value):
        array, rate = value
    if array is None or not np.ndim(array):
        raise UserError(
            f"the {name} is of type {type(value).__name__}, not a recording; "
            "give a path, or (array, rate in Hz)"
        )
    if rate is None:
        raise UserError(f"the {name} is an array that has no sample rate; give (array, rate in Hz)")
    clip = Clip.of(array, rate)
    if not len(clip.samples):
        raise UserError(f"the {name} has no samples; record it again, or remove the row")
    return clip


def _decoded(jobs: Mapping[Any, _Job], places: Mapping[Any, str]) -> dict[Any, Clip]:
    """The clips of all jobs by key; failures are reported once all jobs have been tried."""
    failed: dict[Any, UserError] = {}
    done: list[Any] = []

    def clips() -> Iterator[Clip]:
        for key, result in attempted(jobs, "audio"):
            if isinstance(result, UserError):
                failed[key] = result
            elif not failed:
                done.append(key)
                yield result

    found = spooled(clips())
    if failed:
        raise failure(failed, places, len(jobs))
    return dict(zip(done, found, strict=True))
