"""Rows in the order of series and time: zones, rows that go backwards, rows of one time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from apps.data.panels.clock import moment
from apps.data.panels.naming import counted
from apps.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas

_HOUR = 3600


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of all series of a table.

    Attributes:
        codes: number of the series, `(rows,)` int64.
        times: `(rows,)` float64.
        lines: number of the row in the source from 1, 0 where it was filled in; `(rows,)` int64.
        values: role to `(rows, channels)` float64, NaN for holes.
    """

    codes: np.ndarray
    times: np.ndarray
    lines: np.ndarray
    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: np.ndarray) -> Rows:
        """Some rows: numbers, or a mask."""
        values = {role: array[rows] for role, array in self.values.items()}
        return Rows(self.codes[rows], self.times[rows], self.lines[rows], values)

    @property
    def inner(self) -> np.ndarray:
        """Whether a row and the next one are of the same series, `(rows - 1,)` bool."""
        return np.diff(self.codes) == 0

    @property
    def starts(self) -> np.ndarray:
        """The first row of each series."""
        return np.flatnonzero(np.concatenate([[True], ~self.inner]))


def shown(time: float, dated: bool) -> str:
    """A time for a message."""
    return moment(time) if dated else f"{time:g}"


def ordered(rows: Rows, source: str, dated: bool, say: Callable[[str], None]) -> Rows:
    """The rows in the order of series and, in each, of time."""
    file_order = np.argsort(rows.codes, kind="stable")
    times = rows.times[file_order]
    apart = np.diff(times)[np.diff(rows.codes[file_order]) == 0]
    back = int((apart < 0).sum())
    if back:
        if (apart <= 0).all():
            say(f"{source}: newest rows first; turned around")
        else:
            at = np.flatnonzero((np.diff(times) < 0) & (np.diff(rows.codes[file_order]) == 0))[0]
            line = rows.lines[file_order[at + 1]]
            say(
                f"{source}: time goes backwards {counted(back, 'time')}, first in row {line} "
                f"({shown(float(times[at + 1]), dated)}); rows are put in the order of time"
            )
    return rows.take(np.lexsort((rows.times, rows.codes)))


def without_repeats(
    rows: Rows,
    frame: pandas.DataFrame,
    names: list[str],
    source: str,
    dated: bool,
    how: str,
    say: Callable[[str], None],
) -> Rows:
    """One row for each time of a series.

    Args:
        rows: in order.
        frame: the table, its index the numbers of rows from 0.
        names: of the series.
        source: for messages.
        dated: whether times are dates.
        how: what becomes of rows that differ: refuse, last, first, mean or sum.
        say: takes a line for the user.

    Raises:
        UserError: rows of one time differ, and that is to be refused.
    """
    same = (np.diff(rows.times) == 0) & rows.inner
    if not same.any():
        return rows
    involved = np.concatenate([[False], same]) | np.concatenate([same, [False]])
    some = frame.loc[rows.lines[involved] - 1].astype(str)
    again = np.zeros(len(rows), bool)
    again[involved] = some.duplicated().to_numpy()
    if again.any():
        say(
            f"{source}: {counted(int(again.sum()), 'row')} there twice count once, the first is "
            f"row {rows.lines[again].min()}"
        )
        rows = rows.take(~again)
    same = (np.diff(rows.times) == 0) & rows.inner
    if not same.any():
        return rows
    if how == "refuse":
        raise _repeated(rows, int(np.argmax(same)), int(same.sum()), frame, names, source, dated)
    say(f"{source}: {counted(int(same.sum()), 'row')} of a time that was there: duplicates={how}")
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    last = np.append(first[1:], len(rows)) - 1
    if how in ("first", "last"):
        return rows.take(first if how == "first" else last)
    values = {}
    for role, array in rows.values.items():
        there = ~np.isnan(array)
        count = np.add.reduceat(there.astype(np.float64), first, axis=0)
        total = np.add.reduceat(np.where(there, array, 0.0), first, axis=0)
        share = np.ones_like(count) if how == "sum" and role == "target" else count
        values[role] = np.where(count > 0, total / np.maximum(share, 1), np.nan)
    return replace(rows.take(last), values=values)


def _repeated(
    rows: Rows,
    at: int,
    count: int,
    frame: pandas.DataFrame,
    names: list[str],
    source: str,
    dated: bool,
) -> UserError:
    both = sorted(int(line) for line in rows.lines[at : at + 2])
    time, series = float(rows.times[at]), names[int(rows.codes[at])]
    of = f" of the series '{series}'" if series else ""
    remedy = "name the column that says which series a row belongs to: --columns id=NAME; or "
    if dated and _autumn(time):
        remedy = "if that is the end of summer time, name the place: --set timezone=Europe/Berlin; "
        remedy += "else "
    return UserError(
        f"{source} rows {both[0]} and {both[1]}{of} have one time, {shown(time, dated)}, and "
        f"differ ({counted(count, 'such row')}); {remedy}take their mean: --set duplicates=mean "
        "(or sum, first, last)"
    )


def _autumn(time: float) -> bool:
    """Whether clocks may be put back then: a night in autumn, on a Sunday."""
    date = np.datetime64(int(time), "s")
    month = int(date.astype("datetime64[M]").astype(int)) % 12 + 1
    weekday = (int(time // 86_400) + 3) % 7
    return month in (3, 4, 9, 10, 11) and weekday == 6 and 0 <= time % 86_400 < 4 * _HOUR


def in_utc(rows: Rows, zone: str, source: str, date: str) -> np.ndarray:
    """Times on the clock of a place in UTC.

    Where clocks are put back, an hour is there twice; the rows of the file tell which is which.

    Args:
        rows: in the order of the file.
        zone: name in the data base of time zones.
        source: for messages.
        date: name of the time column.

    Raises:
        UserError: there is no such zone, or a time that its clocks skip.
    """
    import pandas

    file_order = np.argsort(rows.codes, kind="stable")
    apart = np.diff(rows.times[file_order])[np.diff(rows.codes[file_order]) == 0]
    keys = pandas.DataFrame({"code": rows.codes, "time": rows.times})
    if (apart < 0).sum() > (apart > 0).sum():
        keys = keys.iloc[::-1]
    first = (keys.groupby(["code", "time"]).cumcount().sort_index() == 0).to_numpy()
    found = localised(rows.times, zone, first)
    skipped = np.isnan(found)
    if skipped.any():
        row = int(np.argmax(skipped))
        time = moment(float(rows.times[row]))
        raise UserError(
            f"{source} row {rows.lines[row]}: the time '{date}' is {time}, which clocks in {zone} "
            "skip; correct it, or name another zone"
        )
    return found


def localised(times: np.ndarray, zone: str, first: np.ndarray) -> np.ndarray:
    """Seconds since 1970 in UTC of clocks of a place, NaN where clocks skip that time.

    Raises:
        UserError: there is no such zone.
    """
    import zoneinfo

    import pandas

    if zone not in zoneinfo.available_timezones():
        hint = nearest(zone, zoneinfo.available_timezones()) if zone else ""
        hint = hint if "did you mean" in hint else "; write it like Europe/Berlin"
        raise UserError(f"timezone: there is no time zone '{zone}'{hint}")
    whole, rest = np.divmod(times, 1.0)
    index = pandas.DatetimeIndex(whole.astype(np.int64).astype("datetime64[s]"))
    placed = index.tz_localize(zone, ambiguous=first, nonexistent="NaT").tz_convert("UTC")
    seconds = placed.tz_localize(None).to_numpy("datetime64[s]")
    return np.where(np.isnat(seconds), np.nan, seconds.astype(np.float64) + rest)
