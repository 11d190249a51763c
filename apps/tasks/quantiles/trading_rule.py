"""What forecasts of prices are worth: a copy of yesterday, or a rule that earns its costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.data.panels.leaks import correlation

# Correlations from which, and below which, changes count as the same and as unlike.
_SAME, _UNLIKE, _FEWEST = 0.8, 0.3, 30


@dataclass(frozen=True)
class Copy:
    """How the changes of forecasts go with those of what came.

    Attributes:
        own: correlation with the changes of the rows that were forecast.
        before: correlation with those of the rows before.
        late: whether the forecasts are a copy that comes one row late.
    """

    own: float
    before: float

    @property
    def late(self) -> bool:
        """Whether they follow what was before, and not what they are to foresee."""
        return self.before > _SAME and self.own < _UNLIKE


def late_copy(forecasts: np.ndarray, came: np.ndarray) -> Copy | None:
    """Compare the changes of forecasts with those of what came, and of what came before.

    Args:
        forecasts: `(rows,)` of a price, say, in the order of time, one after the other.
        came: `(rows,)` what they were to foresee.

    Returns:
        None where there are too few rows.
    """
    if len(came) < _FEWEST:
        return None
    said, was = np.diff(np.asarray(forecasts, float)), np.diff(np.asarray(came, float))
    return Copy(correlation(said[1:], was[1:]), correlation(said[1:], was[:-1]))


@dataclass(frozen=True)
class Backtest:
    """A rule and what it would have come to; nothing is lent, and cash earns nothing.

    Attributes:
        rule, hold: `(rows + 1,)` value of 1 put in at the beginning, by the rule and held.
        trades: changes of position.
        invested: share of the rows with a position.
    """

    rule: np.ndarray
    hold: np.ndarray
    trades: int
    invested: float

    @staticmethod
    def drawdown(equity: np.ndarray) -> np.ndarray:
        """How far each value lies below the highest before it, `(rows,)`, at most 0."""
        return equity / np.maximum.accumulate(equity) - 1


def backtest(median: np.ndarray, came: np.ndarray, cost: float) -> Backtest:
    """Hold while the median return is above the costs of getting in, else be out.

    Args:
        median: `(rows,)` forecasts of logarithmic returns, in the order of time, not overlapping.
        came: `(rows,)` the returns.
        cost: share of the value that a change of position costs; it is paid at the end too, and by
            the one who holds as well.
    """
    threshold = -np.log1p(-cost) if cost < 1 else np.inf
    position = np.zeros(len(median))
    held = 0.0
    for row, value in enumerate(median):
        # Who is in stays in until a fall is expected that costs more than getting out.
        held = float(value > threshold) if not held else float(value > -threshold)
        position[row] = held
    changes = np.abs(np.diff(position, prepend=0.0))
    rule = np.cumsum(position * came - threshold * changes)
    hold = np.cumsum(came) - threshold
    rule[-1] -= threshold * position[-1]
    hold[-1] -= threshold
    start = [0.0]
    return Backtest(
        np.exp(np.concatenate([start, rule])),
        np.exp(np.concatenate([start, hold])),
        int(changes.sum() + position[-1]),
        float(position.mean()),
    )
