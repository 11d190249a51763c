"""Rows that are parts of clips: where each begins and ends, in seconds or in frames."""

from __future__ import annotations

import math
from collections import Counter

from apps.data import Column, Examples
from apps.data.kinds.number import number
from apps.data.videos.pose import Pose
from apps.data.videos.video import Video
from apps.errors import UserError

# Annotators round up, and the last frame of a file has no end of its own.
_BEYOND_SECONDS = 0.5


def part_columns() -> dict[str, Column]:
    """`start` and `end` in seconds, `start_frame` and `end_frame` counted from 0.

    The end is exclusive; an empty cell stands for the beginning or the end of the clip.
    """
    names = ("start", "end", "start_frame", "end_frame")
    return {name: number(required=False, missing="nan") for name in names}


def cut_parts(examples: Examples, column: str) -> Examples:
    """Examples whose clips are the parts that their rows name.

    Rows of one file share a `group` unless the data has groups of its own, since parts of one film
    look alike.

    Args:
        examples: rows as they were read.
        column: holds the clips.

    Raises:
        UserError: a part is empty, or no part of its clip.
    """
    names = [name for name in part_columns() if name in examples]
    if not names:
        return examples
    whole, parts = examples[column], []
    for row, clip in enumerate(whole):
        given = {name: float(examples[name][row]) for name in names}
        given = {name: value for name, value in given.items() if not math.isnan(value)}
        try:
            parts.append(clip if clip.fault or not given else _part(clip, given))
        except ValueError as error:
            raise UserError(
                f"{examples.places[row]}: {error} ({clip.path or 'the clip'}); "
                "correct it, or rename the column if the clip is cut already"
            ) from None
    columns = {name: values for name, values in examples.columns.items() if name not in names}
    digests = [clip.digest for clip in whole]
    if "group" not in columns and max(Counter(digests).values(), default=1) > 1:
        columns["group"] = digests
    return Examples({**columns, column: parts}, examples.places, examples.source)


def _part(clip: Video | Pose, given: dict[str, float]) -> Video | Pose:
    """The part between two bounds.

    Raises:
        ValueError: there is no such part.
    """
    rate = clip.frames / clip.seconds
    bounds = {"start": 0.0, "end": clip.seconds}
    for name in bounds:
        frame = f"{name}_frame"
        if name in given and frame in given:
            raise ValueError(f"{name} and {frame} are both given")
        bounds[name] = given.get(name, given[frame] / rate if frame in given else bounds[name])
    start, end = bounds["start"], bounds["end"]
    if start < 0:
        raise ValueError(f"the part begins at {start:g} s, before the clip")
    if max(start, end - _BEYOND_SECONDS) >= clip.seconds:
        raise ValueError(f"the part from {start:g} to {end:g} s goes beyond {clip.seconds:.3g} s")
    if end <= start:
        raise ValueError(f"the part ends at {end:g} s, but begins at {start:g} s")
    return clip.part(start, end)
