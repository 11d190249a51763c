"""Windows over series: a history that a model sees, and the rows that it is to forecast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from apps.data.examples import Examples
from apps.data.panels.series import TimeSeries
from apps.data.sequences import LazyRows
from apps.errors import UserError

SERIES, START, CHANNELS, BLOCK = "series", "start", "channels", "block"


class Places(Sequence[str]):
    """Where each window's first row to forecast stands; texts are made when they are asked for."""

    def __init__(self, make: Callable[[int], str], count: int) -> None:
        self._make, self._count = make, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: Any) -> Any:
        if not 0 <= row < self._count:
            raise IndexError(row)
        return self._make(int(row))


def cut(examples: Examples, context: int, horizon: int) -> Examples:
    """All windows whose rows to forecast count: a row for each, with its series and its start.

    The bootstrap draws windows together that begin in the same stretch of a horizon, since what
    they are to forecast overlaps.

    Args:
        examples: `series` and `channels`, a row a series.
        context: rows that a model sees.
        horizon: rows after them to forecast.

    Raises:
        UserError: no series is long enough.
    """
    series: Sequence[TimeSeries] = examples[SERIES]
    found = []
    for number, one in enumerate(series):
        first, last = max(one.first, context), min(one.last, one.end) - horizon
        origins = np.arange(first, last + 1, one.every, dtype=np.int64)
        if len(origins):
            seen = np.cumsum(np.concatenate([[0], one.observed.any(1)]))
            origins = origins[seen[origins + horizon] > seen[origins]]
        found.append(np.stack([np.full(len(origins), number), origins], 1))
    places = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    if not len(places):
        raise too_short(examples, context, horizon)
    numbers, origins = places[:, 0], places[:, 1]
    _, blocks = np.unique(np.stack([numbers, origins // horizon], 1), axis=0, return_inverse=True)
    return _windows(examples, numbers, origins - context, context, blocks.reshape(-1))


def latest(examples: Examples, context: int, horizon: int) -> Examples:
    """The last window of each series, whose rows to forecast are yet to come.

    Args:
        examples: `series` and `channels`, a row a series.
        context: rows that a model sees.
        horizon: rows after them to forecast.

    Raises:
        UserError: a series is too short, or its known-future covariates stop too early.
    """
    starts = []
    for one in examples[SERIES]:
        end = min(one.end, one.last)
        if end < context:
            raise UserError(
                f"{one.place(0)}: its series has {end} rows with targets; the model reads "
                f"{context} before it forecasts: give as many"
            )
        if one.future.shape[1] and len(one.times) < end + horizon:
            raise UserError(
                f"{one.place(len(one.times) - 1)}: known-future covariates end here, "
                f"{len(one.times) - end} rows after the last target; the model needs "
                f"{horizon}: add rows with the covariates and empty targets"
            )
        starts.append(end - context)
    count = len(starts)
    return _windows(examples, np.arange(count), np.array(starts), context, np.arange(count))


def _windows(
    examples: Examples, numbers: np.ndarray, starts: np.ndarray, context: int, blocks: np.ndarray
) -> Examples:
    objects = np.empty(len(examples), object)
    objects[:] = examples[SERIES]
    series = objects[numbers]

    def place(row: int) -> str:
        one, origin = series[row], int(starts[row]) + context
        return one.place(min(origin, len(one.times) - 1))

    columns = {
        SERIES: series,
        START: starts.astype(np.int64),
        BLOCK: blocks,
        CHANNELS: [examples[CHANNELS][0]] * len(series),
    }
    return Examples(columns, Places(place, len(series)), examples.source)


def too_short(examples: Examples, context: int, horizon: int, stretches: int = 1) -> UserError:
    """The error for series that hold no window, or none to learn from and another to choose by.

    Args:
        examples: `series` and `channels`, a row a series.
        context: rows that a model sees.
        horizon: rows after them to forecast.
        stretches: horizons that a series must have behind its first context.
    """
    most = max((min(s.last, s.end) for s in examples[SERIES]), default=0)
    counted = max((min(s.last, s.end) - s.first for s in examples[SERIES]), default=0)
    rows = f"the longest of {len(examples)} series has {most} rows, {counted} of which count"
    if len(examples) == 1:
        rows = f"its series has {most} rows, {counted} of which count"
    return UserError(
        f"{examples.source}: {rows}; a window takes {context} rows of history and {horizon} "
        f"to forecast: give series of at least {context + stretches * horizon}, or set "
        "context=ROWS or horizon=ROWS when you train"
    )


def split_in_time(examples: Examples, fraction: float, horizon: int) -> tuple[Examples, Examples]:
    """The beginning of every series to learn from, and its end to validate on.

    What is learnt from ends where validation begins; windows to validate on see rows before.

    Args:
        examples: `series` and `channels`, a row a series.
        fraction: share of each series' rows that validation gets.
        horizon: rows of a forecast, of which at least one is held out.

    Raises:
        UserError: no series is long enough for both.
    """
    sides: tuple[list[TimeSeries], list[TimeSeries]] = ([], [])
    for one in examples[SERIES]:
        last = min(one.last, one.end)
        start = last - max(round(fraction * (last - one.first)), horizon)
        sides[0].append(replace(one, last=max(start, 0)))
        sides[1].append(replace(one, first=max(start, 0)))
    training, validation = (
        Examples({**examples.columns, SERIES: side}, examples.places, examples.source)
        for side in sides
    )
    return training, validation


def count(examples: Examples, context: int, horizon: int) -> int:
    """How many windows there are, with one at each row."""
    return sum(
        max(min(s.last, s.end) - horizon - max(s.first, context) + 1, 0) for s in examples[SERIES]
    )


def thinned(examples: Examples, context: int, horizon: int, most: int) -> Examples:
    """The same series with windows that begin so seldom that there are no more than `most`."""
    every = -(-count(examples, context, horizon) // most)
    series = [replace(one, every=max(every, 1)) for one in examples[SERIES]]
    return Examples({**examples.columns, SERIES: series}, examples.places, examples.source)


def history(one: TimeSeries, start: int, context: int) -> np.ndarray:
    """The targets that a model sees, `(context, targets)` float64."""
    return one.targets[start : start + context]


def ahead(one: TimeSeries, start: int, context: int, horizon: int) -> np.ndarray:
    """The targets to forecast, `(horizon, targets)` float64; NaN where there is no value."""
    rows = slice(start + context, start + context + horizon)
    return np.where(one.observed[rows], one.targets[rows], np.nan)


def times(one: TimeSeries, start: int, size: int) -> np.ndarray:
    """The times of a window, `(size,)` float64, gone on with where the series ends."""
    known = one.times[start : start + size]
    if len(known) == size:
        return known
    return np.concatenate([known, one.step.after(float(one.times[-1]), size - len(known))])


def times_of_each(units: Examples, size: int) -> LazyRows:
    """The times of each window, `(size,)` float64."""
    return made_of_each(units, lambda one, start: times(one, start, size), (size,), np.float64)


def made_of_each(
    units: Examples,
    make: Callable[[TimeSeries, int], Any],
    shape: tuple[int, ...],
    dtype: DTypeLike = np.float32,
) -> LazyRows:
    """A column with a row for each window, made when a batch needs it.

    Args:
        units: windows.
        make: of a series and where a window starts in it.
        shape: of what is made.
        dtype: of its elements.
    """
    get = partial(_made, units[SERIES], units[START], make)
    return LazyRows(get, len(units), np.dtype(dtype), shape)


def _made(series: Any, starts: Any, make: Callable, row: int) -> np.ndarray:
    return make(series[row], int(starts[row]))
