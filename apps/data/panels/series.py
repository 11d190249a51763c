"""A time series, the step from one of its rows to the next, and the channels that all have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DAY = 86_400.0
_MONTHS = {"MS": 1, "ME": 1, "BMS": 1, "BME": 1, "QS": 3, "QE": 3, "YS": 12, "YE": 12}
_ALIAS = re.compile(r"(\d*)([A-Za-z]+)(?:-[A-Z]{3})?")


def shifted(time: np.ndarray, months: np.ndarray, alias: str) -> np.ndarray:
    """Times some months later.

    Args:
        time: seconds since 1970; broadcast against `months`.
        months: how many.
        alias: of the step; says whether a month's last day, or its first or last working day is
            meant. Else the day of the month stays, or is the last one of a shorter month.

    Returns:
        Seconds since 1970, float64.
    """
    days, clock = np.divmod(np.asarray(time, np.float64), DAY)
    date = days.astype(np.int64).astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    day = (date - month.astype("datetime64[D]")).astype(np.int64)
    there = month + np.asarray(months, np.int64)
    first = there.astype("datetime64[D]")
    last = (there + 1).astype("datetime64[D]") - 1
    unit = unit_of(alias)
    if unit == "BMS":
        found = np.busday_offset(first, 0, roll="forward")
    elif unit == "BME":
        found = np.busday_offset(last, 0, roll="backward")
    elif unit.endswith("E"):
        found = last
    else:
        found = np.minimum(first + day, last)
    return found.astype(np.int64) * DAY + clock


def unit_of(alias: str) -> str:
    """The letters of a pandas alias: "MS" of "6MS", "W" of "W-SUN"."""
    found = _ALIAS.fullmatch(alias)
    return found[2] if found else ""


@dataclass(frozen=True)
class Step:
    """The time from one row to the next.

    Attributes:
        alias: of pandas, such as "h", "15min", "B", "W-SUN", "MS"; "" where times are numbers,
            where there are none, and where rows follow one another in no regular step.
        size: usual length in seconds, or in the unit of the numbers.
        dated: whether times are dates.
        regular: whether rows that are missing can be told.
    """

    alias: str
    size: float
    dated: bool
    regular: bool

    @property
    def months(self) -> int:
        """How many months a step has; 0 where it is not made of months."""
        found = _ALIAS.fullmatch(self.alias)
        return int(found[1] or 1) * _MONTHS.get(found[2], 0) if found else 0

    def after(self, time: float, count: int) -> np.ndarray:
        """The next times.

        Args:
            time: of the row before them, in seconds since 1970 or as a number.
            count: how many.

        Returns:
            `(count,)` float64.
        """
        return self.later(np.full(count, time), np.arange(1, count + 1))

    def later(self, times: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Each time so many steps later, float64."""
        if self.months:
            return shifted(times, steps * self.months, self.alias)
        if self.alias == "B":
            days, clock = np.divmod(times, DAY)
            date = days.astype(np.int64).astype("datetime64[D]")
            there = np.busday_offset(date, steps, roll="backward")
            return there.astype(np.int64) * DAY + clock
        return times + steps * self.size

    def between(self, times: np.ndarray) -> np.ndarray:
        """How many steps lie between neighbours of some rising times, `(rows - 1,)` int64."""
        if self.months:
            month = times.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
            return np.diff(month) // self.months
        if self.alias == "B":
            date = times.astype("datetime64[s]").astype("datetime64[D]")
            return np.busday_count(date[:-1], date[1:])
        return np.rint(np.diff(times) / self.size).astype(np.int64)

    def __str__(self) -> str:
        if not self.regular:
            return "irregular steps"
        if not self.alias:
            return f"a step of {self.size:g}"
        return f"a step of {self.alias}"


@dataclass(frozen=True)
class Channels:
    """What was found in the table that a model learnt from; tables afterwards must have it too.

    Attributes:
        targets, past, future, static: names of channels; a text column has one for each value.
        time: column of the source, "" where there is none.
        id: columns of the source that together name a series.
        categories: text column to its values, which are channels "region=north" of 0 and 1.
        step: of all series.
        date_order: how dates of numbers were read: "dmy", "mdy", "ymd" or "" where nothing was to
            be decided.
        decimal: "." or "," where a column needed it.
    """

    targets: tuple[str, ...]
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]
    time: str
    id: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    step: Step
    date_order: str = ""
    decimal: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Channels:
        """The channels that `to_dict` wrote down."""
        names = {key: tuple(values[key]) for key in ("targets", "past", "future", "static", "id")}
        categories = {column: tuple(found) for column, found in values["categories"].items()}
        return cls(**{**values, **names, "categories": categories, "step": Step(**values["step"])})


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """Rows of one series in the order of time, without holes.

    Attributes:
        name: its id; "" where a table is one series, several columns joined by "/".
        source: the file, ready for a message.
        times: `(rows,)` float64: seconds since 1970, as written or in UTC where zones are given;
            or numbers.
        targets: `(rows, targets)` float64, holes filled.
        observed: `(rows, targets)` bool: whether there was a value.
        past, future: covariates, `(rows, channels)` float64, holes filled.
        static: `(channels,)` float64.
        lines: `(rows,)` int64: number of the row in the source, from 1; 0 for one filled in.
        end: rows before it have targets; those from it on have future covariates only.
        first, last: rows to be learnt from or measured on; those before `first` are history.
        step: from one row to the next.
        every: windows begin every so many rows.
    """

    name: str
    source: str
    times: np.ndarray
    targets: np.ndarray
    observed: np.ndarray
    past: np.ndarray
    future: np.ndarray
    static: np.ndarray
    lines: np.ndarray
    end: int
    first: int
    last: int
    step: Step
    every: int = 1

    def place(self, row: int) -> str:
        """Where a row stands, ready for a message."""
        series = f", series '{self.name}'," if self.name else ""
        if self.lines[row]:
            return f"{self.source}{series} row {self.lines[row]}"
        before = int(self.lines[:row].max(initial=0))
        return f"{self.source}{series} the row filled in after row {before}"
