"""A moment: a date, a time of a day, or a number."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.data.columns import Column
from apps.data.kind import Kind
from apps.data.kinds.number import read_number
from apps.data.raw import RawColumn
from apps.errors import UserError

_NUMBER, _LOCAL, _ZONED = "a number", "a time without a zone", "a time with a zone"
_MISSING = frozenset({"", "nan", "nat", "na", "n/a", "null", "none"})
# Year first as in ISO 8601, but also with slashes, single digits or without a day.
_DATE = re.compile(
    r"(\d{4})([-/.])(\d{1,2})(?:\2(\d{1,2}))?"
    r"(?:[T ]+(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?"
    r" ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE,
)
_COMPACT = (19_000_101, 21_001_231)


def time(*, required: bool = True, aliases: Iterable[str] = ()) -> Column:
    """A column of moments: dates or times, year first, with or without a zone; or numbers."""
    return Column(Time(), required, tuple(aliases))


@dataclass(frozen=True)
class Time(Kind):
    """A moment; values are `float`: seconds since 1970 in UTC, or the number that was given.

    A time without a zone is taken as UTC. If all numbers of a column are dates like 20200131, they
    are read as dates.
    """

    aliases: ClassVar[tuple[str, ...]] = ("timestamp", "datetime", "date", "ds")

    def parse(self, column: RawColumn) -> Sequence[float | None]:
        moments = column.each(_moment)
        given = [row for row, moment in enumerate(moments) if moment is not None]
        for row in given:
            form, first = moments[row][1], moments[given[0]][1]
            if form != first:
                raise UserError(
                    f"{column.places[row]}: the {column.name} is {form}, but {first} in "
                    f"{column.places[given[0]]}; write all of them in one way"
                )
        seconds = [None if moment is None else moment[0] for moment in moments]
        if given and moments[given[0]][1] == _NUMBER:
            return _compact_dates(seconds) or seconds
        return seconds


def _moment(value: Any) -> tuple[float, str] | None:
    """Seconds or a number, and the form in which it was given."""
    if isinstance(value, datetime.datetime):
        return _seconds(value)
    if isinstance(value, datetime.date):
        return _seconds(datetime.datetime(value.year, value.month, value.day))
    if isinstance(value, str):
        value = value.strip()
        if value.casefold() in _MISSING:
            return None
        date = _date(value)
        if date is not None:
            return _seconds(date)
    try:
        found = read_number(value)
    except ValueError:
        shown = repr(value[:40]) if isinstance(value, str) else f"of type {type(value).__name__}"
        raise ValueError(
            f"is {shown}, neither a number nor a time with its year first; "
            "write it like 2020-01-31, 2020-01-31T14:30:00 or 2020-01-31T14:30:00+01:00"
        ) from None
    return None if found is None else (found, _NUMBER)


def _date(text: str) -> datetime.datetime | None:
    """The time in a text, None where it is not a time."""
    if len(text) >= 10 and text[4] == text[7] == "-":
        try:
            return datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
    found = _DATE.fullmatch(text)
    # 2020.5 is a number.
    if found is None or (found[2] == "." and found[4] is None):
        return None
    year, _, month, day, *clock, fraction, zone = found.groups()
    hour, minute, second = (int(part or 0) for part in clock)
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        date = datetime.datetime(int(year), int(month), int(day or 1), hour, minute, second, micros)
    except ValueError:
        return None
    return date.replace(tzinfo=_zone(zone))


def _zone(text: str | None) -> datetime.timezone | None:
    if text is None:
        return None
    if text[0] not in "+-":
        return datetime.UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return datetime.timezone(offset if text[0] == "+" else -offset)


def _seconds(moment: datetime.datetime) -> tuple[float, str]:
    if moment.tzinfo is not None:
        return moment.timestamp(), _ZONED
    return moment.replace(tzinfo=datetime.UTC).timestamp(), _LOCAL


def _compact_dates(numbers: Sequence[float | None]) -> list[float | None] | None:
    """Numbers that are all dates like 20200131 as seconds; None if one is not a date."""
    low, high = _COMPACT
    dates: list[float | None] = []
    for number in numbers:
        if number is None:
            dates.append(None)
            continue
        if not low <= number <= high or number % 1:
            return None
        year, day = divmod(int(number), 10_000)
        try:
            date = datetime.datetime(year, day // 100, day % 100, tzinfo=datetime.UTC)
        except ValueError:
            return None
        dates.append(date.timestamp())
    return dates
