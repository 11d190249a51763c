"""Whether a level returns to a mean, as an index of volatility does and a price does not."""

from __future__ import annotations

import numpy as np

# Dickey & Fuller 1979, with a constant: what one random walk in a thousand goes below, about.
_CRITICAL = -4.1
_FEWEST, _LAGS = 250, 5


def mean_reverting(level: np.ndarray) -> bool:
    """Whether a random walk would hardly be like that: the augmented Dickey-Fuller test.

    Args:
        level: `(rows,)` logarithms of a price.
    """
    changes = np.diff(level)
    if len(changes) < _FEWEST or not changes.any():
        return False
    rows = len(changes) - _LAGS
    lagged = [changes[_LAGS - lag : -lag] for lag in range(1, _LAGS + 1)]
    design = np.stack([level[_LAGS:-1], np.ones(rows), *lagged], 1)
    weights, *_ = np.linalg.lstsq(design, changes[_LAGS:], rcond=None)
    rest = changes[_LAGS:] - design @ weights
    spread = rest @ rest / (rows - design.shape[1])
    error = np.sqrt(spread * np.linalg.pinv(design.T @ design)[0, 0])
    return bool(error > 0 and weights[0] / error < _CRITICAL)
