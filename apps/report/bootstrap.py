"""Bootstrap intervals of metrics, over the statistics of units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np


def bootstrap_interval(
    measure: Callable[[Mapping[str, np.ndarray]], dict[str, float]],
    statistics: Mapping[str, np.ndarray],
    *,
    seed: int,
    blocks: np.ndarray | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> dict[str, list[float] | None]:
    """Percentile bootstrap over units (Efron & Tibshirani 1993, chapter 13).

    Args:
        measure, statistics, seed, blocks, resamples: as `bootstrap_draws` has them.
        level: share of resamples inside the interval.

    Returns:
        Metric name to `[low, high]`, None where the metric is undefined in every resample.
    """
    draws = bootstrap_draws(measure, statistics, seed=seed, blocks=blocks, resamples=resamples)
    return {name: interval_of(values, level) for name, values in draws.items()}


def bootstrap_draws(
    measure: Callable[[Mapping[str, np.ndarray]], dict[str, float]],
    statistics: Mapping[str, np.ndarray],
    *,
    seed: int,
    blocks: np.ndarray | None = None,
    resamples: int = 1000,
) -> dict[str, list[float]]:
    """Metrics of resampled units; equal seeds draw the same units, whatever was measured on them.

    Args:
        measure: computes metrics from the statistics of any units.
        statistics: arrays by name, `(units, …)`.
        seed: seeds the resampling.
        blocks: `(units,)`; units with the same value, such as those of a stretch of time, are drawn
            together. None draws each unit by itself.
        resamples: how many.

    Returns:
        Metric name to one value for each resample.
    """
    generator = np.random.default_rng(seed)
    units = len(next(iter(statistics.values())))
    members = None
    if blocks is not None:
        order = np.argsort(blocks, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1)
    draws: dict[str, list[float]] = {}
    for _ in range(resamples):
        if members is None:
            rows = generator.integers(0, units, units)
        else:
            chosen = generator.integers(0, len(members), len(members))
            rows = np.concatenate([members[block] for block in chosen])
        drawn = {name: values[rows] for name, values in statistics.items()}
        for name, value in measure(drawn).items():
            draws.setdefault(name, []).append(value)
    return draws


def interval_of(values: Sequence[float], level: float = 0.95) -> list[float] | None:
    """The interval that holds a share of some values, None where none of them is finite."""
    finite = np.array(values)[np.isfinite(values)]
    if not len(finite):
        return None
    tail = 100 * (1 - level) / 2
    return [float(bound) for bound in np.percentile(finite, [tail, 100 - tail])]
