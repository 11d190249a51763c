"""Whether forecasts are better than others', or only seem so: the test of Diebold and Mariano."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

# From here on a difference counts as chance.
_CHANCE = 0.05
_FEWEST = 10


def diebold_mariano(ours: np.ndarray, theirs: np.ndarray, horizon: int) -> tuple[float, float]:
    """Test whether two forecasts have the same expected loss.

    Diebold & Mariano 1995, "Comparing predictive accuracy", with all autocovariances to the lag
    `horizon - 1`, and the correction for few rows of Harvey, Leybourne & Newbold 1997, "Testing the
    equality of prediction mean squared errors". The falling weights of Newey & West 1987 take their
    place only where these give no positive variance: at so short a lag they leave out half of it.

    Args:
        ours, theirs: `(moments,)` losses in the order of time.
        horizon: rows ahead of the forecasts, which overlap in `horizon - 1` rows.

    Returns:
        The statistic, negative where ours are better; and the two-sided p-value of Student's
        distribution. NaN where there are too few moments, or all differences are equal.
    """
    from scipy.stats import t

    difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    count = len(difference)
    if count < max(_FEWEST, 2 * horizon):
        return math.nan, math.nan
    mean = float(difference.mean())
    rest = difference - mean
    covariances = np.array([rest[lag:] @ rest[: count - lag] for lag in range(horizon)]) / count
    variance = float(covariances[0] + 2 * covariances[1:].sum())
    if variance <= 0:
        falling = 1 - np.arange(1, horizon) / horizon
        variance = float(covariances[0] + 2 * falling @ covariances[1:])
    if variance <= 1e-24 * max(mean**2, 1e-24):
        return math.nan, math.nan
    correction = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    statistic = mean / math.sqrt(variance / count) * math.sqrt(correction)
    return statistic, float(2 * t.sf(abs(statistic), count - 1))


def compared(
    statistics: Mapping[str, np.ndarray],
    others: Mapping[str, Mapping[str, np.ndarray]],
    horizon: int,
) -> dict[str, dict[str, float | str | None]]:
    """Test the pinball losses of a model's windows against those of its baselines.

    Losses of windows that end at one moment, of several series, are averaged first, since what
    moves one of them moves the others.

    Args:
        statistics: of the model: `pinball` and `known`, sums of each window; `moment`, where there
            is one, says which of them end together.
        others: the same of each baseline by name.
        horizon: rows ahead.

    Returns:
        Baseline to `statistic` (negative where the model is better), `p` and `sentence`.
    """
    found: dict[str, dict[str, float | str | None]] = {}
    ours = _losses(statistics)
    for name, one in others.items():
        statistic, p = diebold_mariano(ours, _losses(one), horizon)
        known = math.isfinite(statistic)
        found[name] = {
            "statistic": statistic if known else None,
            "p": p if known else None,
            "sentence": sentence(name, statistic, p),
        }
    return found


def sentence(name: str, statistic: float, p: float) -> str:
    """The outcome in plain words: "better than persistence (p = 0.003)"."""
    other = name.replace("_", " ")
    if not math.isfinite(statistic):
        return f"cannot be told from {other} (too few windows, or equal losses)"
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
    if p >= _CHANCE:
        return f"no better than {other} ({shown})"
    return f"{'better' if statistic < 0 else 'worse'} than {other} ({shown})"


def _losses(statistics: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean loss of each moment that has a known value, in the order of time."""
    known = np.asarray(statistics["known"], np.float64)
    some = known > 0
    losses = np.asarray(statistics["pinball"], np.float64)[some] / known[some]
    if "moment" not in statistics:
        return losses
    moments, place = np.unique(np.asarray(statistics["moment"])[some], return_inverse=True)
    return np.bincount(place, losses) / np.maximum(np.bincount(place, minlength=len(moments)), 1)
