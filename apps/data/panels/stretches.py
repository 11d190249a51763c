"""Series in stretches without a gap, and stretches in pieces whose state is carried on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import DTypeLike

from apps.data.examples import Examples
from apps.data.panels.series import TimeSeries
from apps.data.panels.windows import BLOCK, CHANNELS, SERIES, START, Places
from apps.data.sequences import LazyRows
from apps.errors import UserError

STOP, LABELS, BEGINS = "stop", "labels", "begins"
# Of a label: whether a row is an anomaly is not known, or the row does not count.
UNKNOWN, UNCOUNTED = -1, -2
# Rows before those that validation counts, by which scales and errors are known there.
_HISTORY = 2000
# The bootstrap draws pieces of series, about so many of them.
_BLOCKS = 50
_BY_ROW = ("times", "targets", "observed", "past", "future", "lines")


def values(one: TimeSeries, start: int, stop: int) -> np.ndarray:
    """The values of some rows, NaN for holes, `(rows, channels)` float64."""
    rows = slice(start, stop)
    return np.where(one.observed[rows], one.targets[rows], np.nan)


def stretches(one: TimeSeries, gap: float, last: int) -> list[tuple[int, int]]:
    """First rows and ends of the parts of a series that no gap divides.

    Args:
        one: the series.
        gap: usual steps, more than which are a gap.
        last: the row behind the last one.
    """
    apart = np.diff(one.times[:last])
    usual = float(np.median(apart)) if len(apart) else 0.0
    breaks = np.flatnonzero(apart > gap * max(usual, one.step.size if one.step.regular else 0.0))
    edges = [0, *(breaks + 1).tolist(), last]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def divided(examples: Examples, fraction: float) -> tuple[Examples, Examples]:
    """The beginning of every series to learn from, and its end to choose by.

    Args:
        examples: `series`, `labels` and `channels`, a row a series.
        fraction: share of each series' rows that is held out.

    Raises:
        UserError: no series is long enough.
    """
    early, late, labels = [], [], []
    for one, own in zip(examples[SERIES], examples[LABELS], strict=True):
        last = min(one.last, one.end)
        start = last - max(round(fraction * (last - one.first)), 1)
        early.append(replace(one, last=start))
        begin = max(start - _HISTORY, 0)
        rows = slice(begin, last)
        late.append(
            replace(
                one,
                **{n: getattr(one, n)[rows] for n in _BY_ROW},
                first=start - begin,
                last=last - begin,
                end=last - begin,
            )
        )
        labels.append(own[rows])
    if not any(one.last > one.first for one in early):
        raise UserError(
            f"{examples.source}: its series have too few rows to hold back {fraction:.0%} of "
            "each; give longer ones, or name a file of its own with --validation FILE"
        )
    places, source = examples.places, examples.source
    training = Examples({**examples.columns, SERIES: early}, places, source)
    return training, Examples({**examples.columns, SERIES: late, LABELS: labels}, places, source)


def pieces(examples: Examples, gap: float, window: int | None) -> Examples:
    """Pieces of all stretches, a row each: `series`, `start` and `stop` in it, `begins`, `labels`.

    Args:
        examples: `series`, `labels` and `channels`, a row a series.
        gap: usual steps, more than which are a gap.
        window: rows of a piece; None for whole stretches.

    Raises:
        UserError: no series has a row.
    """
    found: list[tuple[int, int, int, bool]] = []
    for number, one in enumerate(examples[SERIES]):
        for begin, stop in stretches(one, gap, min(one.last, one.end)):
            size = window or stop - begin
            found += [
                (number, start, min(start + size, stop), start == begin)
                for start in range(begin, stop, size)
            ]
    if not found:
        raise UserError(f"{examples.source}: its series have no row to judge; give longer ones")
    numbers, starts, stops, begins = map(np.array, zip(*found, strict=True))
    per = max(len(found) // _BLOCKS, 1)
    within = np.arange(len(found)) - np.searchsorted(numbers, numbers)
    blocks = np.unique(np.stack([numbers, within // per], 1), axis=0, return_inverse=True)[1]
    objects, labels = np.empty(len(examples), object), np.empty(len(examples), object)
    objects[:], labels[:] = examples[SERIES], examples[LABELS]
    series = objects[numbers]
    columns = {
        SERIES: series,
        START: starts.astype(np.int64),
        STOP: stops.astype(np.int64),
        BEGINS: begins.astype(bool),
        LABELS: labels[numbers],
        BLOCK: blocks.reshape(-1),
        CHANNELS: [examples[CHANNELS][0]] * len(numbers),
    }
    places = Places(lambda row: series[row].place(int(starts[row])), len(numbers))
    return Examples(columns, places, examples.source)


def lazy(
    units: Examples,
    make: Callable[[TimeSeries, int, int], np.ndarray],
    dtype: DTypeLike,
    shape: tuple[int, ...],
) -> LazyRows:
    """A column with a sequence for each unit, made when a batch needs it.

    Args:
        units: as `units` gives them.
        make: of a series and its first and last row, the latter exclusive.
        dtype: of the elements.
        shape: of a row.
    """
    series, starts, stops = units[SERIES], units[START], units[STOP]

    def get(row: int) -> np.ndarray:
        return make(series[row], int(starts[row]), int(stops[row]))

    lengths = np.asarray(stops, np.int64) - np.asarray(starts, np.int64)
    return LazyRows(get, len(units), np.dtype(dtype), shape, lengths)
