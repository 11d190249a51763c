"""Parts of recordings: manifests whose rows say where in their file they begin and end."""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from apps import environment
from apps.data.raw import RawColumn, plain
from apps.data.recordings.clip import Clip
from apps.errors import UserError

_START, _END, _DURATION = "start", "end", "duration"
_ROLES = {
    **dict.fromkeys(
        ("offset", "onset", "start", "starttime", "begin", "begintime", "xmin", "from"), _START
    ),
    **dict.fromkeys(("end", "endtime", "stop", "stoptime", "finish", "xmax", "to"), _END),
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
# Manifests round, in seconds.
_ROUNDING = 0.1


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


def cut(column: RawColumn, clips: Sequence[Clip | None]) -> list[Clip | None]:
    """The parts that the rows name; a row that names none is the whole recording.

    A duration alone is compared with the recording, and rows that disagree are counted.

    Args:
        column: the fields beside it say where parts begin and end.
        clips: the whole recordings, one for each row; rows that share a file share its clip.

    Returns:
        A clip for each row, None where there is none. A part is a view of its recording.

    Raises:
        UserError: a part lies outside its recording or is empty, its fields contradict each other,
            or rows of one file have durations and no start.
    """
    fields = list(_fields(column))
    stated = [
        {} if clip is None else _stated(column, row, clip, fields) for row, clip in enumerate(clips)
    ]
    times = Counter(map(id, clips))
    if not any(stated) or _only_rounded(stated, clips, times):
        return list(clips)
    found: list[Clip | None] = []
    parts, elsewhere, other = 0, 0, []
    for row, (clip, said) in enumerate(zip(clips, stated, strict=True)):
        part = clip
        if clip is not None and (_START in said or _END in said):
            start, end = _span(column, row, said, clip)
            if end > clip.seconds + _rounding(end) and _close(end - start, clip.seconds):
                elsewhere += 1
            else:
                part = _cut_out(column, row, clip, start, end)
                parts += part is not clip
        elif clip is not None and not _close(said.get(_DURATION, clip.seconds), clip.seconds):
            if times[id(clip)] > 1:
                raise _refused(
                    column,
                    row,
                    f"says that it lasts {said[_DURATION]:g} s and shares its recording of "
                    f"{clip.seconds:.2f} s with other rows, but not where it begins; add a column "
                    "'offset' in seconds",
                )
            other.append(f"{column.places[row]}: {said[_DURATION]:g} s, not {clip.seconds:.2f} s")
        found.append(part)
    _say(column, [name for name, _, _, _ in fields], parts, elsewhere, other)
    return found


def _fields(column: RawColumn) -> Iterator[tuple[str, str, float, list[float | None]]]:
    """Name, role, unit and numbers of the fields that tell of parts.

    Raises:
        UserError: a field has numbers and something else.
    """
    for name, cells in column.beside.items():
        found = field_of(name)
        numbers = [_number(cell) for cell in cells]
        if found is None or not any(number is not None for number in numbers):
            continue
        for row, (cell, number) in enumerate(zip(cells, numbers, strict=True)):
            if number is None and not _empty(cell):
                raise _refused(column, row, f"has '{cell}' as {name}, which is no time; correct it")
        yield name, *found, numbers


def _stated(
    column: RawColumn, row: int, clip: Clip, fields: Sequence[tuple[str, str, float, list]]
) -> dict[str, float]:
    """What a row says, by role, in seconds; ends and durations below 0 mean the end of the file."""
    said: dict[str, float] = {}
    for name, role, unit, numbers in fields:
        number = numbers[row]
        if number is None or (number < 0 and role != _START):
            continue
        seconds = number * (unit or 1.0 / clip.rate)
        if abs(said.setdefault(role, seconds) - seconds) > _ROUNDING:
            raise _refused(
                column,
                row,
                f"has {said[role]:g} s and, as {name}, {seconds:g} s for the same {role}; correct "
                "one of them, or rename that column",
            )
    return said


def _only_rounded(
    stated: Sequence[dict[str, float]], clips: Sequence[Clip | None], times: Counter[int]
) -> bool:
    """Whether all rows are whole recordings whose lengths were rounded to whole seconds."""
    return all(
        clip is None
        or (
            times[id(clip)] == 1
            and not said.get(_START)
            and (end := said.get(_END, said.get(_DURATION, 0.5))) % 1 == 0
            and abs(end - clip.seconds) < 1.0
        )
        for said, clip in zip(stated, clips, strict=True)
    )


def _span(column: RawColumn, row: int, said: dict[str, float], clip: Clip) -> tuple[float, float]:
    """Start and end of a row, in seconds."""
    start, end, duration = (said.get(role) for role in (_START, _END, _DURATION))
    if duration is not None and start is not None and end is not None:
        if abs(end - start - duration) > _rounding(duration):
            raise _refused(
                column,
                row,
                f"lasts from {start:g} to {end:g} s and says that it lasts {duration:g} s; correct "
                "one of them",
            )
    elif duration is not None and start is not None:
        end = start + duration
    elif duration is not None and end is not None:
        start = max(end - duration, 0.0)
    return start or 0.0, clip.seconds if end is None else end


def _cut_out(column: RawColumn, row: int, clip: Clip, start: float, end: float) -> Clip:
    if end > clip.seconds + _rounding(end) or start < 0:
        raise _refused(
            column,
            row,
            f"lasts from {start:g} to {end:g} s, but its recording has {clip.seconds:.2f} s; "
            "correct it, or say another unit in the column's name, such as start_ms",
        )
    first, last = round(start * clip.rate), round(min(end, clip.seconds) * clip.rate)
    if last <= first:
        raise _refused(
            column, row, f"lasts from {start:g} to {end:g} s, which is nothing; remove it"
        )
    if (first, last) == (0, clip.count):
        return clip
    # As in the addresses of media fragments, so that a report tells parts of one file apart.
    path = f"{clip.path}#t={start:g},{end:g}" if clip.path else ""
    return clip.part(first, last, path)


def _rounding(seconds: float) -> float:
    """How far a stated time may be off."""
    return 1.0 if seconds % 1 == 0 and seconds else _ROUNDING


def _close(stated: float, seconds: float) -> bool:
    return abs(stated - seconds) <= max(_ROUNDING * seconds, _rounding(stated))


def _say(
    column: RawColumn, names: Sequence[str], parts: int, elsewhere: int, other: Sequence[str]
) -> None:
    if parts:
        environment.say(
            f"{column.source}: {parts} of {len(column.places)} rows are parts of recordings "
            f"({', '.join(names)}) and are cut out of them"
        )
    if elsewhere:
        environment.say(
            f"{column.source}: {elsewhere} rows state times of longer recordings, and their own "
            "are as long as the part: they are taken whole"
        )
    if other:
        environment.say(
            f"{column.source}: {len(other)} of {len(column.places)} rows state another length than "
            f"their recording has, such as {other[0]}; check that they belong together"
        )


def _empty(cell: Any) -> bool:
    value = plain(cell)
    return value is None or (isinstance(value, str) and not value.strip())


def _number(cell: Any) -> float | None:
    """Seconds or samples, from a number, a text or h:m:s; None where it is not a number."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        value = plain(cell)
        if not isinstance(value, str):
            return _finite(float(value))
        clock = _CLOCK.fullmatch(value.strip())
        if clock is None:
            # A comma for the point, as spreadsheets of Europe write it.
            return _finite(float(value.replace(",", ".")))
        hours, minutes, seconds = clock.groups()
        whole = 60 * (60 * int(hours or 0) + int(minutes))
        return whole + float(seconds.replace(",", "."))
    return None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _refused(column: RawColumn, row: int, what: str) -> UserError:
    return UserError(f"{column.places[row]} {what}")
