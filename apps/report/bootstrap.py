"""Bootstrap intervals of metrics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def bootstrap_interval(
    measure: Callable[[np.ndarray, np.ndarray], dict[str, float]],
    truth: np.ndarray,
    outputs: np.ndarray,
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> dict[str, list[float]]:
    """Percentile bootstrap over examples (Efron & Tibshirani 1993, chapter 13).

    Args:
        measure: gives the metrics of rows of truth and outputs.
        truth: one entry a row.
        outputs: the model's output of each row.
        seed: of the resampling.
        resamples: how many.
        level: share of resamples inside the interval.

    Returns:
        Metric name to `[low, high]`.
    """
    generator = np.random.default_rng(seed)
    tail = 100 * (1 - level) / 2
    draws: dict[str, list[float]] = {}
    for _ in range(resamples):
        rows = generator.integers(0, len(truth), len(truth))
        for name, value in measure(truth[rows], outputs[rows]).items():
            draws.setdefault(name, []).append(value)
    return {
        name: [float(v) for v in np.percentile(values, [tail, 100 - tail])]
        for name, values in draws.items()
    }
