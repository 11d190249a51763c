"""The test of Diebold and Mariano, against an independent computation and by its rejections."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from apps.tasks.quantiles.comparison import compared, diebold_mariano, sentence


def overlapping(rows: int, horizon: int, mean: float, seed: int = 0) -> np.ndarray:
    """Differences that overlap as those of forecasts so many rows ahead do."""
    draw = np.random.default_rng(seed).normal(mean, 1, rows + horizon - 1)
    return np.convolve(draw, np.ones(horizon) / horizon, "valid")


@pytest.mark.parametrize("horizon", [1, 5])
def test_equals_a_regression_on_a_constant(horizon: int) -> None:
    from statsmodels.api import OLS

    ours, theirs = np.abs(overlapping(300, horizon, 0.2)), np.abs(overlapping(300, horizon, 0.3, 1))
    fit = OLS(ours - theirs, np.ones(300)).fit(
        cov_type="HAC",
        cov_kwds={"maxlags": horizon - 1, "kernel": "uniform", "use_correction": False},
    )
    correction = np.sqrt((300 + 1 - 2 * horizon + horizon * (horizon - 1) / 300) / 300)
    wanted = float(fit.tvalues[0]) * correction
    statistic, p = diebold_mariano(ours, theirs, horizon)
    assert statistic == pytest.approx(wanted, rel=1e-6)
    assert p == pytest.approx(2 * t.sf(abs(wanted), 299))


@pytest.mark.parametrize("horizon", [1, 4])
def test_equal_forecasts_are_rarely_told_apart(horizon: int) -> None:
    zeros = np.zeros(250)
    found = [
        diebold_mariano(overlapping(250, horizon, 0.0, seed), zeros, horizon)[1] < 0.05
        for seed in range(400)
    ]
    assert 0.02 < np.mean(found) < 0.09


def test_sides_change_places() -> None:
    ours, theirs = overlapping(200, 3, 0.1), overlapping(200, 3, 0.4, 1)
    statistic, p = diebold_mariano(ours, theirs, 3)
    assert diebold_mariano(theirs, ours, 3) == pytest.approx((-statistic, p))
    assert statistic < 0


@pytest.mark.parametrize(
    ("statistic", "p", "said"),
    [
        (-3.0, 0.003, "better than persistence (p = 0.003)"),
        (-3.0, 0.0004, "better than persistence (p < 0.001)"),
        (-0.8, 0.41, "no better than persistence (p = 0.41)"),
        (0.8, 0.41, "no better than persistence (p = 0.41)"),
        (2.5, 0.012, "worse than persistence (p = 0.012)"),
    ],
)
def test_sentences(statistic: float, p: float, said: str) -> None:
    assert sentence("persistence", statistic, p) == said


def test_equal_losses_and_few_windows_cannot_be_told_apart() -> None:
    same = {"pinball": np.ones(50), "known": np.ones(50)}
    found = compared(same, {"bag_of_days": same}, 1)["bag_of_days"]
    assert found["p"] is None
    assert str(found["sentence"]).startswith("cannot be told from bag of days")
    assert np.isnan(diebold_mariano(np.arange(4.0), np.zeros(4), 1)[1])


def test_series_that_move_together_count_once() -> None:
    losses = overlapping(100, 1, 0.1)
    zeros = np.zeros(100)

    def said(copies: int) -> float:
        statistics = {
            "pinball": np.tile(losses, copies),
            "known": np.ones(100 * copies),
            "moment": np.tile(np.arange(100.0), copies),
        }
        other = {**statistics, "pinball": np.tile(zeros, copies)}
        return float(compared(statistics, {"other": other}, 1)["other"]["p"] or 0)

    assert said(20) == pytest.approx(said(1))


def test_windows_are_put_in_the_order_of_time() -> None:
    losses, zeros = overlapping(100, 5, 0.2), np.zeros(100)
    order = np.random.default_rng(0).permutation(100)
    made = {"known": np.ones(100), "moment": np.arange(100.0)[order]}
    found = compared({**made, "pinball": losses[order]}, {"other": {**made, "pinball": zeros}}, 5)
    assert found["other"]["p"] == pytest.approx(diebold_mariano(losses, zeros, 5)[1])
