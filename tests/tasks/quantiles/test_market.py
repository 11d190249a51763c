"""What is known of markets without a network: each against its own definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from apps.configuration import fixed
from apps.data import Examples
from apps.data.panels.windows import SERIES, START
from apps.inputs.prices import Prices, PricesConfig
from apps.tasks.quantiles.config import QuantilesConfig
from apps.tasks.quantiles.market import Garch, Har, MarketBaseline
from apps.tasks.quantiles.outcome import Outcome
from apps.timeseries.sample_prices import made_returns, sample_prices, true_loss

BASELINES = ("persistence", "historical", "ewma", "har", "garch")


@dataclass(frozen=True)
class Config(PricesConfig, QuantilesConfig):
    cost: float = fixed(0.001)


class Made:
    """Windows over made prices, and the task that measures on them."""

    def __init__(self, target: str = "return", horizon: int = 1, days: int = 1200) -> None:
        config = Config(target=target, horizon=horizon, context=30, season=1)
        adapted: dict[str, Any] = {}
        given = Prices().bound(config, 0, adapted)
        self.task = Outcome().bound(config, 0, adapted)
        sample = sample_prices(0, days)
        until, since = (
            given.within(sample, *limits) for limits in ((None, "#900"), ("#900", None))
        )
        self.training: Examples = given.units(given.check(until, learning=True))
        adapted.update(given.adapt(self.training))
        self.others: Examples = given.units(given.check(since, learning=False))

    def fitted(self, name: str) -> Any:
        baseline = self.task.baselines()[name]
        baseline.fit(self.training)
        return baseline

    def pinball(self, baseline: MarketBaseline) -> float:
        return self.task.measure(self.task.statistics_of(baseline, self.others))["pinball"]


@pytest.fixture(scope="module")
def returns() -> Made:
    return Made()


@pytest.fixture(scope="module")
def volatilities() -> Made:
    return Made("volatility", 5)


@pytest.fixture(params=["return", "volatility"])
def made(request: Any, returns: Made, volatilities: Made) -> Made:
    return returns if request.param == "return" else volatilities


@pytest.mark.parametrize("name", BASELINES)
def test_rising_quantiles_that_are_restored_from_arrays(made: Made, name: str) -> None:
    baseline = made.fitted(name)
    found = baseline.predict(made.others)
    assert found.shape == (len(made.others), 1, 1, 9)
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()
    again = made.task.baselines()[name]
    again.restore(baseline.state())
    np.testing.assert_array_equal(again.predict(made.others), found)


@pytest.mark.parametrize("name", BASELINES)
def test_later_rows_change_no_answer(made: Made, name: str) -> None:
    baseline = made.fitted(name)
    chosen = made.others.select([40])
    before = baseline.predict(chosen)
    one = chosen[SERIES][0]
    seen = int(chosen[START][0]) + 30
    one.past[seen:], kept = one.past[seen:] * 1.3, one.past[seen:].copy()
    one.targets[seen:], came = 7.0, one.targets[seen:].copy()
    again = made.task.baselines()[name]
    again.restore(baseline.state())
    after = again.predict(chosen)
    one.past[seen:], one.targets[seen:] = kept, came
    np.testing.assert_allclose(after, before, rtol=1e-12)


def test_clusters_of_volatility_are_worth_something(returns: Made) -> None:
    losses = {name: returns.pinball(returns.fitted(name)) for name in BASELINES}
    assert losses["garch"] < losses["persistence"]
    assert losses["garch"] < losses["historical"]


def test_nothing_beats_the_true_quantiles() -> None:
    drawn, scale = made_returns(3, 20_000)
    levels = np.arange(1, 10) / 10
    best = true_loss(drawn, scale, levels)
    assert best < true_loss(drawn, 1.2 * scale, levels)
    assert best < true_loss(drawn, 0.8 * scale, levels)
    assert best < true_loss(drawn, np.full(20_000, scale.mean()), levels)


def test_volatility_is_best_foreseen_from_all_three_spans(volatilities: Made) -> None:
    losses = {n: volatilities.pinball(volatilities.fitted(n)) for n in ("persistence", "har")}
    assert losses["har"] < losses["persistence"]


def test_garch_is_that_of_the_package(returns: Made) -> None:
    from arch import arch_model

    garch = returns.fitted("garch")
    assert isinstance(garch, Garch)
    one = returns.training[SERIES][0]
    own = garch.market.returns(one)[1 : one.last]
    fit = arch_model(own / own.std(), p=1, q=1, dist="t", rescale=False).fit(disp="off")
    ahead = fit.forecast(horizon=1, start=100, reindex=False).variance.to_numpy()[:, 0]
    _, scale = garch.path(one)
    np.testing.assert_allclose(scale[101 : one.last], own.std() * np.sqrt(ahead), rtol=1e-3)


def test_har_keeps_a_volatility_that_was_the_same_for_a_month(volatilities: Made) -> None:
    har = volatilities.fitted("har")
    assert isinstance(har, Har)
    # A volatility that was the same for a month stays about what it is.
    level = float(np.median(volatilities.training[SERIES][0].targets[100:900]))
    assert abs(np.array([1, level, level, level]) @ har.weights - level) < 0.3


def test_a_series_that_garch_was_not_fitted_to_has_usual_parameters(returns: Made) -> None:
    garch = returns.task.baselines()["garch"]
    assert isinstance(garch, Garch)
    _, scale = garch.path(returns.training[SERIES][0])
    assert np.isfinite(scale).all()
    assert (scale > 0).all()
