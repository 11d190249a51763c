"""Refusing manifests whose rows are parts of recordings: their text is not the whole file's."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from apps.data.raw import RawColumn, plain
from apps.data.recordings.clip import Clip
from apps.errors import UserError

_START, _END, _DURATION = "start", "end", "duration"
_ROLES = {
    **dict.fromkeys(("offset", "onset", "start", "starttime", "begin", "begintime"), _START),
    **dict.fromkeys(("end", "endtime", "stop", "stoptime"), _END),
    **dict.fromkeys(("duration", "dur"), _DURATION),
}
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), 1e-3),
    # The rate is not known before the recording is read.
    **dict.fromkeys(("sample", "samples", "frame", "frames"), 0.0),
}
_PASSED_OVER = frozenset("time segment seg utterance utt clip audio in at".split())
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d*)?)")


def field_of(name: str) -> tuple[str, float] | None:
    """What a field says about a part: `start`, `end` or `duration`, and its unit in seconds.

    Args:
        name: of a field: `offset`, `start_time`, `segmentEnd`, `duration[ms]`.

    Returns:
        None where the field is none of these; a unit of 0 means samples.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [word for word in re.findall("[a-z]+", spaced.casefold()) if word not in _PASSED_OVER]
    roles = [_ROLES[word] for word in words if word in _ROLES]
    units = [_UNITS[word] for word in words if word in _UNITS]
    if len(roles) != 1 or len(roles) + len(units) != len(words):
        return None
    return roles[0], units[0] if units else 1.0


def check_starts(column: RawColumn) -> None:
    """Refuse rows that begin within their recording.

    Raises:
        UserError: names the first of them.
    """
    for name, cells in column.beside.items():
        found = field_of(name)
        if found is not None and found[0] == _START:
            for row, cell in enumerate(cells):
                if (_number(cell) or 0.0) > 0.0:
                    raise _part(column, row, name)


def check_lengths(column: RawColumn, clips: Sequence[Clip | None]) -> None:
    """Refuse rows that end before their recording does.

    A duration alone may mean anything. Where rows also say where they begin or end, or several name
    the same file, it is the duration of the part.

    Raises:
        UserError: names the first of them.
    """
    roles = {name: found for name in column.beside if (found := field_of(name)) is not None}
    places = any(role != _DURATION for role, _ in roles.values())
    times = Counter(map(id, clips))
    for name, (role, unit) in roles.items():
        if role == _START:
            continue
        for row, (cell, clip) in enumerate(zip(column.beside[name], clips, strict=True)):
            number = _number(cell)
            if clip is None or number is None or not (places or times[id(clip)] > 1):
                continue
            end = number * (unit or 1.0 / clip.rate)
            # Manifests round, some to whole seconds.
            tolerance = max(0.1 * clip.seconds, 1.0 if end % 1 == 0 else 0.1)
            if 0.0 < end < clip.seconds - tolerance:
                raise _part(column, row, name)


def _number(cell: Any) -> float | None:
    """Seconds or samples, from a number, a text or h:m:s; None where it is not a number."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        value = plain(cell)
        clock = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
        if clock is None:
            return float(value)
        hours, minutes, seconds = clock.groups()
        whole = 60 * (60 * int(hours or 0) + int(minutes))
        return whole + float(seconds.replace(",", "."))
    return None


def _part(column: RawColumn, row: int, name: str) -> UserError:
    return UserError(
        f"{column.places[row]} is a part of a recording ({name} {column.beside[name][row]}), and "
        "only whole ones are read; cut them into a file for each row, or rename that column if it "
        "says something else"
    )
