"""From when and until when rows are learnt from: `--since` and `--until`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from apps.data.panels.clock import read_times
from apps.data.panels.ordering import localised, shown
from apps.errors import UserError

_NUMBERED = re.compile(r"#\s*(\d+)")


@dataclass(frozen=True)
class Bound:
    """A limit of rows.

    Attributes:
        said: how it was given, `--since 2016`.
        rows: rows of each series that come before it, None where it is a time.
        time: seconds since 1970 or a number.
    """

    said: str
    rows: int | None = None
    time: float = 0.0

    def at(self, times: np.ndarray, rank: np.ndarray) -> int:
        """The first row of a series that does not come before the limit.

        Args:
            times: of its rows.
            rank: how many rows of the source come before each of them.
        """
        if self.rows is None:
            return int(np.searchsorted(times, self.time))
        return int(np.searchsorted(rank, self.rows))


@dataclass(frozen=True)
class Limits:
    """Both limits.

    Attributes:
        since: rows before it are history only.
        until: rows from it on are not used.
        dated: whether times are dates.
    """

    since: Bound | None
    until: Bound | None
    dated: bool

    @classmethod
    def read(cls, since: str, until: str, dated: bool, zone: str, order: str) -> Limits:
        """The limits in texts, each a time, "#100", or empty.

        Args:
            since, until: the texts.
            dated: whether the times of the data are dates.
            zone: of their clock, "" where times stay as they are.
            order: of day and month.

        Raises:
            UserError: a text is neither.
        """
        found = [
            _bound(option, text.strip(), dated, zone, order) if text.strip() else None
            for option, text in (("--since", since), ("--until", until))
        ]
        return cls(found[0], found[1], dated)

    def within(self, times: np.ndarray, rank: np.ndarray) -> tuple[int, int]:
        """The first row of a series within the limits, and the one behind the last.

        Args:
            times: of its rows.
            rank: how many rows of the source come before each of them.
        """
        first = 0 if self.since is None else self.since.at(times, rank)
        last = len(times) if self.until is None else self.until.at(times, rank)
        return first, last

    def check(self, times: np.ndarray, most: int, source: str, say: Callable[[str], None]) -> None:
        """Refuse limits that leave nothing.

        Args:
            times: of all rows.
            most: rows of the longest series.
            source: for messages.
            say: takes a line for the user.

        Raises:
            UserError: a limit lies outside the data, or one behind the other.
        """
        low, high = float(times.min()), float(times.max())
        span = f"{source} goes from {shown(low, self.dated)} to {shown(high, self.dated)}"
        span += f" and has {most} rows" + ("" if most == len(times) else " in its longest series")
        since, until = self.since, self.until
        if since and (since.time > high if since.rows is None else since.rows >= most):
            raise UserError(f"{since.said} leaves no row: {span}")
        if until and (until.time <= low if until.rows is None else not 0 < until.rows <= most):
            raise UserError(f"{until.said} lies outside: {span}")
        if until and until.rows is None and self.dated and until.time > high + (high - low):
            say(f"{until.said} lies far behind the data: {span}")
        if since and until and (since.rows is None) == (until.rows is None):
            limits = [bound.time if bound.rows is None else bound.rows for bound in (since, until)]
            if limits[0] >= limits[1]:
                raise UserError(f"{since.said} does not lie before {until.said}; {span}")


def _bound(option: str, text: str, dated: bool, zone: str, order: str) -> Bound:
    import pyarrow as pa

    said = f"{option} {text}"
    if found := _NUMBERED.fullmatch(text):
        return Bound(f"{option} '{text}'", rows=int(found[1]))
    if not dated:
        try:
            return Bound(said, time=float(text))
        except ValueError:
            raise UserError(
                f"{said}: the data have no dates; give a number as their times are, or that of a "
                "row: '#100'"
            ) from None
    times = read_times(
        pa.array([text], pa.large_string()), lambda row: option, "limit", order, order
    )
    if times is None or not times.dated:
        raise UserError(
            f"{said} is no date; write it like 2020-01-31 or '2020-01-31 14:30', or name a row: "
            "'#100'"
        )
    time = times.values
    if zone and not times.zoned:
        time = localised(time, zone, np.ones(1, bool))
    return Bound(said, time=float(time[0]))
