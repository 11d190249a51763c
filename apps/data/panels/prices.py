"""Tables of quotes: open, high, low, close and volume under whatever names, checked row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from apps.data.panels import naming
from apps.data.panels.making import Reading, series_of
from apps.data.panels.numerals import read_numerals
from apps.data.panels.quote_names import (
    ADJUSTED,
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    QUOTES,
    VOLUME,
    quotes_of,
)
from apps.data.panels.series import Channels, TimeSeries
from apps.data.panels.splits_of_shares import suspected_splits
from apps.data.panels.table import Table
from apps.errors import UserError

if TYPE_CHECKING:
    import pandas

Say = Callable[[str], None]
_TOLD = 3
# Of a price: quotes are rounded, and adjusted ones more often than others.
_ROUNDING = 1e-4


def read_prices(
    table: Table, reading: Reading, known: Channels | None, say: Say
) -> tuple[list[TimeSeries], Channels]:
    """The quotes of a table, a series for each ticker, rows in the order of time.

    Rows are used as they come: days without trade are no holes. Prices are adjusted where the table
    has an adjusted close. A quote that is missing is the row's close.

    Args:
        table: as it was read; its roles may name the close (`target`), `time`, `id` and `past`.
        reading: what the user decides.
        known: of a model; None where it is to be found.
        say: takes a line for the user.

    Returns:
        The series, whose `targets` are the quotes `(rows, quotes)` that the channels name; and the
        channels, those of the covariates too.

    Raises:
        UserError: there is no close, a price is not positive, or the table is at fault otherwise.
    """
    reading = replace(reading, complete=False, fill="last", frequency="")
    made: list[TimeSeries] = []
    channels = known
    for one in _tables(table, say):
        there = [kind for kind in (*QUOTES, ADJUSTED) if kind in one.frame.columns]
        given = known
        if known is not None:
            missing = [kind for kind in known.targets if kind not in there]
            if missing:
                raise UserError(
                    f"{one.source} has no column of the {' or the '.join(missing)}, which the "
                    "model reads; add it under a usual name"
                )
            wanted = [*known.targets, *(kind for kind in (ADJUSTED,) if kind in there)]
            given = replace(known, targets=tuple(wanted))
        roles = {**one.roles, "target": "+".join(there if given is None else given.targets)}
        found, read = series_of(replace(one, roles=roles), reading, given, say)
        if channels is None:
            kinds = tuple(kind for kind in read.targets if kind != ADJUSTED)
            if CLOSE not in kinds:
                raise UserError(f"{one.source}: the close never changes; give prices that do")
            channels = replace(read, targets=kinds)
        made += [_checked(series, read.targets, channels.targets, say) for series in found]
    assert channels is not None
    return made, channels


def _tables(table: Table, say: Say) -> list[Table]:
    """The table with its quotes under their own names; one for each column of a wide one."""
    frame, roles = table.frame, dict(table.roles)
    taken = naming.resolved(roles, list(frame.columns), table.source)
    used = {name for role, names in taken.items() if role != "target" for name in names}
    free = [name for name in frame.columns if name not in used]
    found = quotes_of(free)
    if "target" in taken:
        found = {kind: name for kind, name in found.items() if name not in taken["target"]}
        found[CLOSE] = taken["target"][0]
        if len(taken["target"]) > 1:
            return _one_by_one(table, taken["target"])
    if CLOSE not in found and ADJUSTED in found:
        found[CLOSE] = found.pop(ADJUSTED)
    if CLOSE not in found:
        alone = _numeric(frame, [n for n in free if n not in found.values()])
        if not alone:
            raise UserError(
                f"{table.source} has no column of closing prices; its columns are "
                f"{naming.listed(list(frame.columns))}; name it: --columns target=NAME"
            )
        if len(alone) > 1:
            say(f"{table.source}: each column is the price of one: {naming.listed(alone)}")
            return _one_by_one(table, alone)
        found[CLOSE] = alone[0]
    say(f"{table.source}: " + ", ".join(f"{kind} is '{name}'" for kind, name in found.items()))
    return [_named(table, found, table.name)]


def _one_by_one(table: Table, names: Sequence[str]) -> list[Table]:
    """A table for each of some columns of closing prices."""
    tables = []
    for name in names:
        others = [other for other in names if other != name]
        own = replace(table, frame=table.frame.drop(columns=others))
        tables.append(_named(own, {CLOSE: name}, name))
    return tables


def _named(table: Table, quotes: Mapping[str, str], name: str) -> Table:
    """The table whose quotes have their own names, other columns of such names put aside."""
    kinds = {column: kind for kind, column in quotes.items()}
    clash = {c: f"{c} " for c in table.frame.columns if c in (*QUOTES, ADJUSTED) and c not in kinds}
    roles = {role: text for role, text in table.roles.items() if role != "target"}
    return replace(
        table, frame=table.frame.rename(columns={**clash, **kinds}), roles=roles, name=name
    )


def _numeric(frame: pandas.DataFrame, names: list[str]) -> list[str]:
    """The columns of numbers among some, dates and counters of rows aside."""
    words = naming.DATES | naming.TIMES | naming.COARSE | naming.COUNTERS
    names = [name for name in names if naming.plain(name) not in words]
    numerals = read_numerals({name: frame[name] for name in names}, "", "")
    return [name for name in names if numerals[name].numeric and not numerals[name].wrong.all()]


def _checked(
    series: TimeSeries, read: tuple[str, ...], kinds: tuple[str, ...], say: Say
) -> TimeSeries:
    """The series without rows that have no close, its quotes consistent and ordered."""
    cells = np.where(series.observed, series.targets, np.nan)
    quotes = {kind: cells[:, number] for number, kind in enumerate(read)}
    closed = np.isfinite(quotes[CLOSE])
    if not closed.all():
        first, count = series.place(int(np.argmin(closed))), int((~closed).sum())
        say(f"{first}: rows without a close are left out, {count} in all, this is the first")
        series = _without(series, closed)
        quotes = {kind: values[closed] for kind, values in quotes.items()}
    _check_positive(series, quotes, say)
    close = quotes[CLOSE]
    if ADJUSTED in quotes:
        factor = _carried(quotes[ADJUSTED] / close)
        quotes = {k: v * factor if k in (OPEN, HIGH, LOW, CLOSE) else v for k, v in quotes.items()}
        close = quotes[CLOSE]
    for kind in (OPEN, HIGH, LOW):
        if kind in quotes:
            quotes[kind] = np.where(np.isfinite(quotes[kind]), quotes[kind], close)
    _widen(series, quotes, say)
    if VOLUME in quotes:
        quotes[VOLUME] = np.maximum(_carried(quotes[VOLUME], 0.0), 0.0)
    rows = suspected_splits(close, quotes.get(OPEN), quotes.get(HIGH), quotes.get(LOW))
    for row, ratio in rows[:_TOLD]:
        say(
            f"{series.place(row)}: the price is {ratio:.3g} times that of the row before, as after "
            "a split; it is left as it is: give adjusted prices if it was one"
        )
    if len(rows) > _TOLD:
        say(f"{series.source}: {len(rows) - _TOLD} further rows look like splits")
    stacked = np.stack([quotes[kind] for kind in kinds], 1)
    return replace(series, targets=stacked, observed=np.ones(stacked.shape, bool))


def _check_positive(series: TimeSeries, quotes: Mapping[str, np.ndarray], say: Say) -> None:
    """Refuse prices that are not positive; an open, high or low of 0 is one that is not known."""
    for kind in (CLOSE, ADJUSTED, OPEN, HIGH, LOW):
        if kind not in quotes:
            continue
        values = quotes[kind]
        with np.errstate(invalid="ignore"):
            wrong = values <= 0 if kind in (CLOSE, ADJUSTED) else values < 0
            unknown = (values == 0) & ~wrong
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(
                f"{series.place(row)}: the {kind} is {values[row]:g}; returns are of positive "
                f"prices ({int(wrong.sum())} rows are not); correct it, or remove the row"
            )
        if unknown.any():
            say(
                f"{series.place(int(np.argmax(unknown)))}: the {kind} is 0 and counts as not "
                f"known, in {int(unknown.sum())} rows"
            )
            values[unknown] = np.nan


def _widen(series: TimeSeries, quotes: dict[str, np.ndarray], say: Say) -> None:
    """Name rows whose high lies below another price or whose low above one; make it the extreme."""
    prices = np.stack([quotes[kind] for kind in (OPEN, CLOSE, HIGH, LOW) if kind in quotes])
    top, bottom = prices.max(0), prices.min(0)
    wrong = np.zeros(len(top), bool)
    if HIGH in quotes:
        wrong |= quotes[HIGH] < top * (1 - _ROUNDING)
        quotes[HIGH] = top
    if LOW in quotes:
        wrong |= quotes[LOW] > bottom * (1 + _ROUNDING)
        quotes[LOW] = bottom
    if wrong.any():
        say(
            f"{series.place(int(np.argmax(wrong)))}: open, high, low and close contradict one "
            f"another, in {int(wrong.sum())} rows; the highest counts as high, the lowest as low"
        )


def _carried(values: np.ndarray, start: float | None = None) -> np.ndarray:
    """Holes filled with the value before them; those at the beginning with `start` or the next."""
    known = np.isfinite(values)
    if known.all():
        return values
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    first = 1.0 if not known.any() else values[known][0]
    return np.where(last >= 0, values[np.maximum(last, 0)], first if start is None else start)


def _without(series: TimeSeries, kept: np.ndarray) -> TimeSeries:
    """The series without some rows."""
    before = np.concatenate([[0], np.cumsum(kept)])
    return replace(
        series,
        times=series.times[kept],
        targets=series.targets[kept],
        observed=series.observed[kept],
        past=series.past[kept],
        future=series.future[kept],
        lines=series.lines[kept],
        end=int(before[series.end]),
        first=int(before[series.first]),
        last=int(before[series.last]),
    )
