"""Bootstrap intervals where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from apps.report.bootstrap import bootstrap_interval


def accuracy(statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {"accuracy": float(statistics["hit"].mean())}


def interval(hit: np.ndarray, **how: object) -> tuple[float, float]:
    """Bounds of the accuracy."""
    bounds = bootstrap_interval(accuracy, {"hit": hit}, **how)["accuracy"]  # type: ignore[arg-type]
    assert bounds is not None
    low, high = bounds
    return low, high


def test_interval_covers_the_true_rate_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    rate, rows, trials = 0.8, 200, 300
    covered = 0
    for trial in range(trials):
        low, high = interval(draw.random(rows) < rate, seed=trial, resamples=200)
        covered += low <= rate <= high
    # 300 trials at 95 % have a standard deviation of 1.3 %; the percentile method is slightly low.
    assert 0.90 <= covered / trials <= 0.98


def test_width_is_that_of_the_binomial() -> None:
    rows, rate = 1000, 0.7
    hit = np.arange(rows) < rate * rows
    low, high = interval(hit, seed=0)
    deviation = np.sqrt(rate * (1 - rate) / rows)
    assert (high - low) / (2 * 1.96 * deviation) == pytest.approx(1, abs=0.1)
    lower, higher = interval(hit, seed=0, level=0.5)
    assert low < lower < rate < higher < high


def test_seed_decides_the_resamples() -> None:
    hit = np.random.default_rng(1).integers(0, 2, 2000)
    assert interval(hit, seed=3) == interval(hit, seed=3)
    assert interval(hit, seed=3) != interval(hit, seed=4)


def test_units_of_a_block_are_drawn_together() -> None:
    blocks = np.repeat(np.arange(12)[::-1], np.arange(1, 13))
    seen = []

    def count(statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        block, times = np.unique(statistics["block"], return_counts=True)
        size = 12 - block
        assert (times % size == 0).all()
        seen.append(int((times // size).sum()))
        return {"blocks": float(len(block))}

    bootstrap_interval(count, {"block": blocks}, seed=0, blocks=blocks, resamples=50)
    assert seen == [12] * 50


def test_blocks_widen_the_interval_of_units_that_are_alike() -> None:
    draw = np.random.default_rng(0)
    blocks = np.repeat(np.arange(40), 25)
    hit = (draw.random(40) < 0.7)[blocks]
    low, high = interval(hit, seed=0, blocks=blocks)
    # Forty independent values, not a thousand.
    deviation = np.sqrt(hit.mean() * (1 - hit.mean()) / 40)
    assert (high - low) / (2 * 1.96 * deviation) == pytest.approx(1, abs=0.15)
    narrow, wide = interval(hit, seed=0)
    assert wide - narrow < 0.3 * (high - low)


def test_blocks_of_one_unit_are_as_none() -> None:
    hit = np.random.default_rng(2).random(300) < 0.6
    assert interval(hit, seed=5, blocks=np.arange(300)) == interval(hit, seed=5)


def test_metrics_that_are_undefined() -> None:
    def measure(statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        some = statistics["value"]
        known = some[some < 9]
        mean = float(known.mean()) if len(known) else float("nan")
        return {"never": float("nan"), "endless": float("inf"), "sometimes": mean}

    found = bootstrap_interval(measure, {"value": np.array([1.0, 3.0, 9.0])}, seed=0)
    assert found["never"] is found["endless"] is None
    assert found["sometimes"] == [1.0, 3.0]
