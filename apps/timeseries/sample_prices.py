"""Made prices, of which the true quantiles of every day are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps import environment
from apps.data import Examples
from apps.data.panels.table import Table

_START = np.datetime64("2012-01-02")
# Glosten, Jagannathan & Runkle 1993: variance after a rise, and what a fall adds to it.
_MEAN, _DAILY, _RISE, _FALL, _KEPT = 0.0003, 0.012, 0.03, 0.1, 0.91
_FREEDOM = 5
# Share of a day's variance that falls into the night; steps of a day.
_NIGHT, _STEPS = 0.2, 26
# Share of the rows that are validated on unless the user says it.
_LAST = 0.2
_DECILES = np.arange(1, 10) / 10


def sample_prices(seed: int, days: int = 3000) -> Examples:
    """Daily quotes of one share, whose volatility comes in clusters and rises after falls.

    Says which loss nothing can beat: that of the true quantiles.

    Args:
        seed: of everything.
        days: rows.
    """
    import pandas

    returns, scale = made_returns(seed, days)
    last = round(_LAST * days)
    loss = true_loss(returns[-last:], scale[-last:], _DECILES) / returns[:-last].std()
    environment.say(
        f"made prices: over the last {last} rows the true quantiles of the next row's return have "
        f"a mean pinball loss of {loss:.4f} standard deviations; nothing can be expected to beat it"
    )
    draw = np.random.default_rng(seed + 1)
    close = 100 * np.exp(np.cumsum(returns))
    night = scale * np.sqrt(_NIGHT) * draw.normal(size=days) * 0.7 + _NIGHT * returns
    opened = np.concatenate([[100.0], close[:-1]]) * np.exp(night)
    steps = draw.normal(size=(days, _STEPS)) * (scale * np.sqrt((1 - _NIGHT) / _STEPS))[:, None]
    path = np.cumsum(steps, 1)
    share = np.arange(1, _STEPS + 1) / _STEPS
    bridge = path - share * path[:, -1:] + share * np.log(close / opened)[:, None]
    high = opened * np.exp(np.maximum(bridge.max(1), 0.0))
    low = opened * np.exp(np.minimum(bridge.min(1), 0.0))
    volume = 1e6 * np.exp(0.5 * np.log(scale / _DAILY) + draw.normal(0, 0.3, days))
    day = np.busday_offset(_START, np.arange(days), roll="forward")
    frame = pandas.DataFrame(
        {
            "Date": day.astype("datetime64[ns]"),
            "Open": opened.round(4),
            "High": np.maximum(high, close).round(4),
            "Low": np.minimum(low, close).round(4),
            "Close": close.round(4),
            "Volume": volume.round(),
        }
    )
    table = Table(frame, "made prices", {"time": "Date"})
    return Examples({"series": [table]}, ["made prices"], "made prices")


def made_returns(seed: int, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Logarithmic returns of days and the scale that each was drawn with, `(days,)` each."""
    draw = np.random.default_rng(seed)
    shocks = draw.standard_t(_FREEDOM, days) * np.sqrt((_FREEDOM - 2) / _FREEDOM)
    least = _DAILY**2 * (1 - _RISE - _FALL / 2 - _KEPT)
    variance, drawn, variances = _DAILY**2, np.zeros(days), np.zeros(days)
    for day in range(days):
        variances[day] = variance
        drawn[day] = np.sqrt(variance) * shocks[day]
        share = _RISE + _FALL * (drawn[day] < 0)
        variance = least + share * drawn[day] ** 2 + _KEPT * variance
    return _MEAN + drawn, np.sqrt(variances)


def true_loss(
    returns: np.ndarray, scale: np.ndarray, levels: Sequence[float] | np.ndarray
) -> float:
    """Mean pinball loss of the quantiles from which returns were drawn."""
    from scipy.stats import t

    shape = t.ppf(levels, _FREEDOM) * np.sqrt((_FREEDOM - 2) / _FREEDOM)
    difference = returns[:, None] - (_MEAN + scale[:, None] * shape)
    return float(np.maximum(levels * difference, (np.asarray(levels) - 1) * difference).mean())
