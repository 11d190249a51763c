"""Which of two epochs is the better one: by the objective, and by the loss where it cannot tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from apps.report.quantities import LOSS, Metric

# A rate known to half a hundredth, as accuracies of 0.9 are from 3,600 rows on, decides by itself.
_COARSE = 0.005
_PARTS = 20

Statistics = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Score:
    """How good an epoch's weights are on the validation units.

    Attributes:
        value: the objective.
        loss: the loss per unit; NaN where it is not known.
        error: standard error of the objective.
    """

    value: float
    loss: float
    error: float

    @classmethod
    def of(cls, best: Mapping[str, Any] | None) -> Self | None:
        """The score of the best epoch so far, as the position tells of it."""
        return None if best is None else cls(best["value"], best["loss"], best["error"])

    def beats(self, other: Score | None, judge: Metric) -> bool:
        """Whether it is better.

        A few validation units tell the epochs of a training apart by a rate such as accuracy no
        better than a die does. So where its standard error exceeds 0.005, differences within one
        standard error are decided by the loss; elsewhere equal values are.

        Args:
            other: what it is compared with; anything is better than None.
            judge: the objective.
        """
        if other is None:
            return True
        error = max(self.error, other.error)
        if math.isnan(self.loss):
            return judge.beats(self.value, other.value)
        within = error if judge.rate and error > _COARSE else 0.0
        if abs(self.value - other.value) <= within:
            return LOSS.beats(self.loss, other.loss)
        return judge.beats(self.value, other.value)


def standard_error(
    measure: Callable[[Statistics], Mapping[str, float]], statistics: Statistics, name: str
) -> float:
    """Standard error of a metric, by leaving out one of up to 20 parts of the units at a time.

    The delete-a-group jackknife (Kott 2001); 0 where there is one unit or the metric is undefined.

    Args:
        measure: metrics from the statistics of any units.
        statistics: arrays by name, `(units, …)`.
        name: of the metric.
    """
    units = len(next(iter(statistics.values())))
    parts = min(_PARTS, units)
    if parts < 2:
        return 0.0
    part = np.arange(units) % parts
    values = np.array(
        [
            measure({key: array[part != left] for key, array in statistics.items()})[name]
            for left in range(parts)
        ]
    )
    error = math.sqrt((parts - 1) / parts * float(((values - values.mean()) ** 2).sum()))
    return error if math.isfinite(error) else 0.0
