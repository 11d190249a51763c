"""Bootstrap intervals where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from apps.report.bootstrap import bootstrap_interval


def accuracy(truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    return {"accuracy": float((truth == outputs).mean())}


def test_interval_covers_the_true_rate_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    rate, rows, trials = 0.8, 200, 300
    covered = 0
    for trial in range(trials):
        outputs = (draw.random(rows) < rate).astype(int)
        interval = bootstrap_interval(
            accuracy, np.ones(rows, int), outputs, seed=trial, resamples=200
        )
        low, high = interval["accuracy"]
        covered += low <= rate <= high
    # 300 trials at 95 % have a standard deviation of 1.3 %; the percentile method is slightly low.
    assert 0.90 <= covered / trials <= 0.98


def test_width_is_that_of_the_binomial() -> None:
    rows, rate = 1000, 0.7
    outputs = (np.arange(rows) < rate * rows).astype(int)
    low, high = bootstrap_interval(accuracy, np.ones(rows, int), outputs, seed=0)["accuracy"]
    deviation = np.sqrt(rate * (1 - rate) / rows)
    assert (high - low) / (2 * 1.96 * deviation) == pytest.approx(1, abs=0.1)
    narrower = bootstrap_interval(accuracy, np.ones(rows, int), outputs, seed=0, level=0.5)
    assert low < narrower["accuracy"][0] < rate < narrower["accuracy"][1] < high


def test_seed_decides_the_resamples() -> None:
    truth = np.random.default_rng(1).integers(0, 2, 2000)
    arguments = (accuracy, truth, np.ones(2000, int))
    first = bootstrap_interval(*arguments, seed=3)
    assert first == bootstrap_interval(*arguments, seed=3)
    assert first != bootstrap_interval(*arguments, seed=4)
