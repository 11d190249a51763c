"""Rows that are missing and cells that are empty: found, counted, filled from what came before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from apps.data.panels.naming import counted
from apps.data.panels.ordering import Rows, shown
from apps.data.panels.series import DAY, Step
from apps.data.panels.steps import HOLIDAYS
from apps.errors import UserError

# A session covers no more of the day than that, on so many days.
_OPEN, _DAYS = 0.9, 3


def with_missing_rows(rows: Rows, step: Step, source: str, say: Callable[[str], None]) -> Rows:
    """The rows with one, empty, for each step that has none.

    Args:
        rows: in order, one for each time.
        step: from row to row.
        source: for messages.
        say: takes a line for the user.
    """
    if not step.regular or len(rows) < 2:
        return rows
    missing = np.where(rows.inner, step.between(rows.times) - 1, 0)
    if step.alias == "B":
        holidays = (missing > 0) & (missing <= HOLIDAYS)
        if holidays.any():
            days = counted(int(missing[holidays].sum()), "working day")
            say(f"{source}: {days} without a row taken for holidays")
        missing[holidays] = 0
    elif step.dated and step.size < DAY and (pauses := _pauses(rows.times, missing, step)).any():
        say(
            f"{source}: {counted(int(pauses.sum()), 'pause')} over night or over days count as no "
            "holes, since rows never cover the whole day or week"
        )
        missing[pauses] = 0
    missing = np.maximum(missing, 0)
    total = int(missing.sum())
    if not total:
        return rows
    longest = int(np.argmax(missing))
    holes = counted(int((missing > 0).sum()), "hole")
    time = shown(float(rows.times[longest]), step.dated)
    say(
        f"{source}: {counted(total, 'row')} missing in {holes}, the longest of "
        f"{missing[longest]} behind row {rows.lines[longest]} ({time})"
    )
    kept = np.arange(len(rows)) + np.concatenate([[0], np.cumsum(missing)])
    before = np.repeat(np.arange(len(rows) - 1), missing)
    number = np.arange(total) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    new = np.ones(len(rows) + total, bool)
    new[kept] = False
    times = np.empty(len(new))
    times[kept] = rows.times
    if step.months or step.alias == "B":
        times[new] = step.later(rows.times[before], number)
    else:
        apart = np.diff(rows.times)[before] / (missing[before] + 1)
        times[new] = rows.times[before] + number * apart
    lines = np.zeros(len(new), np.int64)
    lines[kept] = rows.lines
    values = {}
    for role, array in rows.values.items():
        values[role] = np.full((len(new), array.shape[1]), np.nan)
        values[role][kept] = array
    codes = np.empty(len(new), np.int64)
    codes[kept], codes[new] = rows.codes, rows.codes[before]
    return Rows(codes, times, lines, values)


def _pauses(times: np.ndarray, missing: np.ndarray, step: Step) -> np.ndarray:
    """Which gaps are hours or days in which there never are rows, as those of an exchange.

    Args:
        times: of the rows.
        missing: rows that each gap to the next row would hold.
        step: shorter than a day.

    Returns:
        `(rows - 1,)` bool.
    """
    day = np.floor(times / DAY)
    part = max(step.size, 3600.0)
    open_ = len(np.unique(np.floor((times % DAY) / part))) * part / DAY
    weekdays = np.unique((day.astype(np.int64) + 3) % 7)
    over = (missing > 0) & (np.diff(day) > 0)
    if open_ <= _OPEN and len(np.unique(day)) >= _DAYS:
        return over
    if weekdays.max() < 5 and np.ptp(day) >= 2 * 7:
        return over & (np.diff(day) > 2)
    return np.zeros(len(missing), bool)


def filled(values: np.ndarray, starts: np.ndarray, how: str, season: int) -> np.ndarray:
    """Values without holes, each filled by what came before it.

    Args:
        values: `(rows, channels)`, NaN for holes.
        starts: the first row of each series.
        how: `last` value, `seasonal`: the value one season before, or `zero`. Before the first
            value of a channel there is nothing to fill with but 0.
        season: rows of a season.

    Returns:
        `(rows, channels)` float64.
    """
    found = values.copy()
    holes = np.isnan(found)
    if not holes.any():
        return found
    if how == "zero":
        found[holes] = 0.0
        return found
    sizes = np.diff(np.append(starts, len(values)))
    first = np.repeat(starts, sizes)
    rows = np.arange(len(values))
    for channel in np.flatnonzero(holes.any(axis=0)):
        column = found[:, channel]
        if how == "seasonal" and season > 1:
            for start, size in zip(starts, sizes, strict=True):
                piece = column[start : start + size]
                if np.isnan(piece).any():
                    piece[:] = _seasons(piece, season)
        there = ~np.isnan(column)
        before = np.maximum.accumulate(np.where(there, rows, -1))
        known = before >= first
        column[:] = np.where(known, column[np.maximum(before, 0)], 0.0)
    return found


def _seasons(values: np.ndarray, season: int) -> np.ndarray:
    """Holes filled with the last value at the same place of a season, where there is one."""
    whole = np.full(-(-len(values) // season) * season, np.nan)
    whole[: len(values)] = values
    table = whole.reshape(-1, season)
    row = np.arange(len(table))[:, None]
    before = np.maximum.accumulate(np.where(np.isnan(table), -1, row), axis=0)
    spread = np.take_along_axis(table, np.maximum(before, 0), axis=0)
    return np.where(before >= 0, spread, np.nan).reshape(-1)[: len(values)]


def say_cells(
    rows: Rows,
    role: str,
    names: tuple[str, ...],
    within: np.ndarray,
    source: str,
    how: str,
    say: Callable[[str], None],
) -> None:
    """Count the empty cells of rows that are in the source.

    Args:
        rows: of the table.
        role: whose channels are looked at.
        names: of those channels.
        within: `(rows,)` bool: rows that count.
        source: for messages.
        how: they are filled; `refuse` refuses the first hole, missing rows too.
        say: takes a line for the user.

    Raises:
        UserError: there is a hole, and it is to be refused.
    """
    holes = np.isnan(rows.values[role]) & within[:, None]
    if not holes.any():
        return
    if how == "refuse":
        row = int(np.argmax(holes.any(axis=1)))
        name = names[int(np.argmax(holes[row]))]
        line = int(rows.lines[row])
        where = f"row {line}: '{name}' is empty"
        if not line:
            where = f"behind row {int(rows.lines[:row].max(initial=0))} a row is missing"
        raise UserError(f"{source} {where}; fill it in, or choose how: --set fill=last")
    holes &= (rows.lines > 0)[:, None]
    counts = holes.sum(axis=0)
    told = [f"'{name}' {count}" for name, count in zip(names, counts, strict=True) if count]
    if told:
        row = int(np.argmax(holes.any(axis=1)))
        more = f" and {len(told) - 6} more" if len(told) > 6 else ""
        say(
            f"{source}: empty cells: {', '.join(told[:6])}{more}, first in row {rows.lines[row]}; "
            + ("they stay empty" if how == "keep" else f"fill={how}")
        )
