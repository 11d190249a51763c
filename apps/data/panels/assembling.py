"""Rows of all series, in order and without gaps, to the series that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from apps.data.panels import naming
from apps.data.panels.bounds import Limits
from apps.data.panels.holes import filled, say_cells
from apps.data.panels.ordering import Rows
from apps.data.panels.series import Step, TimeSeries
from apps.errors import UserError

_FILLED = ("target", "past", "future")


@dataclass(eq=False)
class Assembly:
    """Makes series of rows.

    Attributes:
        rows: in the order of series and time, with those that were missing.
        names: of the series.
        channels: role to the names of its channels.
        static: `(series, features)`.
        step: from row to row.
        source: for messages.
        say: takes a line for the user.
    """

    rows: Rows
    names: Sequence[str]
    channels: Mapping[str, tuple[str, ...]]
    static: np.ndarray
    step: Step
    source: str
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        rows = self.rows
        self.starts = rows.starts
        self.stops = np.append(self.starts[1:], len(rows))
        self.sizes = self.stops - self.starts
        self.here = rows.lines > 0
        self.observed = ~np.isnan(rows.values["target"])
        some, number = self.observed.any(axis=1), np.arange(len(rows))
        self.begins = np.minimum.reduceat(np.where(some, number, len(rows)), self.starts)
        self.ends = np.maximum.reduceat(np.where(some, number + 1, 0), self.starts)
        self.behind = number >= self._each(self.ends)
        self.before = number < self._each(self.begins)

    def series(self, fill: str, season: int, limits: Limits) -> list[TimeSeries]:
        """The series that have a target, and a row within the limits.

        Args:
            fill: how holes are filled.
            season: rows of a season.
            limits: rows to be learnt from or measured on.

        Raises:
            UserError: a hole is to be refused, a future covariate stops early, or nothing is left.
        """
        within = ~self.behind & ~self.before
        self._check_future()
        for role in _FILLED:
            say_cells(self.rows, role, self.channels[role], within, self.source, fill, self.say)
        how = "last" if fill in ("refuse", "keep") else fill
        if fill != "keep":
            self._say_zeros(how)
        full = {r: filled(self.rows.values[r], self.starts, how, season) for r in _FILLED}
        rank: np.ndarray = np.cumsum(self.here) - self.here
        rank = rank - self._each(rank[self.starts])
        most = int(np.add.reduceat(self.here.astype(np.int64), self.starts).max())
        limits.check(self.rows.times, most, self.source, self.say)
        made: list[TimeSeries] = []
        outside: list[str] = []
        for at in np.flatnonzero(self.ends):
            name = self.names[int(self.rows.codes[self.starts[at]])]
            low, end = int(self.begins[at]), int(self.ends[at])
            piece = slice(low, int(self.stops[at]) if self.channels["future"] else end)
            first, last = limits.within(self.rows.times[low:end], rank[low:end])
            if first >= last:
                outside.append(name)
                continue
            made.append(
                TimeSeries(
                    name=name,
                    source=self.source,
                    times=self.rows.times[piece],
                    targets=full["target"][piece],
                    observed=self.observed[piece],
                    past=full["past"][piece],
                    future=full["future"][piece],
                    static=self.static[at],
                    lines=self.rows.lines[piece],
                    end=end - low,
                    first=first,
                    last=last,
                    step=self.step,
                )
            )
        self._say_left_out(outside, made)
        return made

    def _each(self, values: np.ndarray) -> np.ndarray:
        """A value of each series, for each of its rows."""
        return np.repeat(values, self.sizes)

    def _check_future(self) -> None:
        """Refuse future covariates that stop before the targets, or have holes behind them."""
        holes, number = np.isnan(self.rows.values["future"]), np.arange(len(self.rows))
        for channel, name in enumerate(self.channels["future"]):
            last = np.maximum.reduceat(np.where(holes[:, channel], -1, number), self.starts)
            early = np.flatnonzero(last + 1 < self.ends)
            if len(early):
                row = max(int(last[early[0]]), int(self.starts[early[0]]) - 1) + 1
                column = name.partition("=")[0]
                raise UserError(
                    f"{self._place(row)}: the future covariate '{column}' stops before the target "
                    "does; it has to be known as long, and for the horizon behind it; fill it in, "
                    f"or make it a past one: --columns past={column}"
                )
        bad = (holes & (self.behind & self.here)[:, None]).any(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            name = self.channels["future"][int(np.argmax(holes[row]))].partition("=")[0]
            raise UserError(
                f"{self._place(row)}: the future covariate '{name}' is empty behind the last "
                "target; fill it in, or remove the row"
            )

    def _say_zeros(self, how: str) -> None:
        """Tell of channels that begin later than their series, before which nothing is known."""
        number, rows = np.arange(len(self.rows)), len(self.rows)
        told = []
        for role in _FILLED if how != "zero" else ():
            there = ~np.isnan(self.rows.values[role])
            for channel, name in enumerate(self.channels[role]):
                first = np.minimum.reduceat(np.where(there[:, channel], number, rows), self.starts)
                if ((first > self.begins) & (self.ends > 0)).any():
                    told.append(name)
        if told:
            self.say(f"{self.source}: before their first value these are 0: {naming.listed(told)}")

    def _place(self, row: int) -> str:
        name = self.names[int(self.rows.codes[row])]
        series = f", series '{name}'," if name else ""
        return f"{self.source}{series} row {self.rows.lines[row]}"

    def _say_left_out(self, outside: list[str], made: list[TimeSeries]) -> None:
        codes = self.rows.codes[self.starts[self.ends == 0]]
        empty = [self.names[int(code)] for code in codes]
        if not made and not outside:
            raise UserError(f"{self.source}: no row has a target; fill in at least two")
        if not made:
            raise UserError(
                f"{self.source}: no series has a row within --since and --until; widen them"
            )
        if empty:
            rows = naming.counted(int(self._each(self.ends == 0)[self.here].sum()), "row")
            self.say(
                f"{self.source}: {len(empty)} series without a target, {rows}, not used: "
                f"{naming.listed(empty)}"
            )
        if outside:
            self.say(
                f"{self.source}: {len(outside)} series have no row within the limits: "
                f"{naming.listed(outside)}"
            )
        used = self._each(self.ends > 0) & self.here
        leading = int((used & self.before).sum())
        if leading:
            self.say(
                f"{self.source}: {naming.counted(leading, 'row')} before the first target not used"
            )
        if not self.channels["future"] and (trailing := int((used & self.behind).sum())):
            self.say(
                f"{self.source}: {naming.counted(trailing, 'row')} behind the last target not used"
            )
