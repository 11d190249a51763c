"""Scores that know nothing: chance, distance to the usual, difference to the row before."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from apps.components import Baseline
from apps.data import Examples
from apps.data.panels.series import DAY, TimeSeries
from apps.data.panels.stretches import STOP, values
from apps.data.panels.windows import SERIES, START

# Rows that tell what is usual.
_USUAL = 400
_LEAST = 1e-12
# Rows of a series that are not judged, as by the model.
_COLD = 50

Threshold = Callable[[Sequence[np.ndarray]], float]


class RowScore(Baseline):
    """A score of each row from the rows before it; the threshold is chosen as the model's is.

    Args:
        threshold: gives the threshold of scores of normal stretches.
        seed: of what is drawn.
    """

    def __init__(self, threshold: Threshold, seed: int) -> None:
        self._choose, self.seed = threshold, seed
        self.threshold = np.inf

    @abstractmethod
    def scores(self, rows: np.ndarray, one: TimeSeries) -> np.ndarray:
        """Scores of all rows of a series, `(rows, channels)`, of its filled values."""

    def fit(self, examples: Examples) -> None:
        self._known: tuple[TimeSeries | None, np.ndarray] = (None, np.zeros(0))
        pieces = [
            self._of(one)[int(start) : int(stop)] for one, start, stop in self._places(examples)
        ]
        self.threshold = self._choose(pieces)

    def predict(self, examples: Examples) -> dict[str, np.ndarray]:
        self._known = (None, np.zeros(0))
        places = self._places(examples)
        size = max(int(stop) - int(start) for _, start, stop in places)
        score = np.full((len(places), size), np.nan)
        for row, (one, start, stop) in enumerate(places):
            score[row, : int(stop) - int(start)] = self._of(one)[int(start) : int(stop)]
        # Rows that are all alike have no alarm, whatever the threshold.
        return {"score": score, "flag": (score >= self.threshold) & (score > 0)}

    @staticmethod
    def _places(examples: Examples) -> list[tuple[TimeSeries, int, int]]:
        return list(zip(examples[SERIES], examples[START], examples[STOP], strict=True))

    def _of(self, one: TimeSeries) -> np.ndarray:
        """The scores of a series, made once while its units follow one another."""
        if self._known[0] is not one:
            found = self.scores(one.targets, one)
            there = np.isfinite(values(one, 0, len(one.times)))
            judged = there & (np.arange(len(found)) >= _COLD)[:, None]
            self._known = (one, np.where(judged, found, 0.0).max(1))
        return self._known[1]

    def state(self) -> dict[str, np.ndarray]:
        return {"threshold": np.array(self.threshold)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.threshold = float(state["threshold"])


class RandomScore(RowScore):
    """Chance."""

    def scores(self, rows: np.ndarray, one: TimeSeries) -> np.ndarray:
        draw = np.random.default_rng([self.seed, len(rows)])
        return np.tile(draw.exponential(size=(len(rows), 1)), (1, rows.shape[1]))


class RollingZ(RowScore):
    """Distance to the mean of the rows before, in their deviations."""

    def scores(self, rows: np.ndarray, one: TimeSeries) -> np.ndarray:
        mean, deviation = rolling(rows)
        return np.abs(rows - mean) / np.maximum(deviation, _LEAST + 1e-3 * np.abs(mean))


class MovingDifference(RowScore):
    """Difference to the row before, in deviations of such differences.

    The one-liner of Wu & Keogh 2021, "Current time series anomaly detection benchmarks are flawed
    and are creating the illusion of progress", section II-B: `abs(diff(x)) > movmean + c * movstd`.
    """

    def scores(self, rows: np.ndarray, one: TimeSeries) -> np.ndarray:
        return _in_deviations(np.abs(np.diff(rows, axis=0, prepend=rows[:1])))


class SeasonalDifference(RowScore):
    """Difference to the row a day before, in deviations of such differences."""

    def scores(self, rows: np.ndarray, one: TimeSeries) -> np.ndarray:
        before = np.searchsorted(one.times, one.times - DAY, side="right") - 1
        apart = np.where((before >= 0)[:, None], np.abs(rows - rows[np.maximum(before, 0)]), 0.0)
        return _in_deviations(apart)


def _in_deviations(apart: np.ndarray) -> np.ndarray:
    mean, deviation = rolling(apart)
    return np.maximum(apart - mean, 0.0) / np.maximum(deviation, _LEAST + 1e-3 * mean)


def rolling(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the rows before each one, `(rows, channels)`; zeros for the first.

    Args:
        rows: `(rows, channels)`.
    """
    start = rows[:1]
    sums = np.cumsum(np.concatenate([np.zeros_like(start), rows - start]), 0)
    squares = np.cumsum(np.concatenate([np.zeros_like(start), (rows - start) ** 2]), 0)
    stop = np.arange(len(rows))
    first = np.maximum(stop - _USUAL, 0)
    count = np.maximum(stop - first, 1)[:, None]
    mean = (sums[stop] - sums[first]) / count
    variance = (squares[stop] - squares[first]) / count - mean**2
    return mean + start, np.sqrt(np.maximum(variance, 0.0))
