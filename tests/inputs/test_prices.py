"""Windows of quotes: what they hold, what they are to foresee, and what they do not know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.data import Examples
from apps.data.panels.table import Table
from apps.data.panels.windows import SERIES, START, ahead
from apps.errors import UserError
from apps.inputs.prices import FEATURES, Prices, PricesConfig
from apps.layers.price_features import MONTH
from apps.timeseries.sample_prices import sample_prices


def prices(**settings: Any) -> Prices:
    return Prices().bound(PricesConfig(**{"context": 30, "season": 1, **settings}), 0, {})


def adapted(given: Prices, sample: Examples, until: str | None = None) -> Examples:
    units = given.units(given.check(given.within(sample, None, until), learning=True))
    given.adapted.update(given.adapt(units))  # type: ignore[attr-defined]
    return units


def close_of(sample: Examples) -> np.ndarray:
    return sample[SERIES][0].frame["Close"].to_numpy(float)


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_target_is_the_return_over_the_rows_to_come(horizon: int) -> None:
    sample = sample_prices(0, 200)
    units = adapted(prices(horizon=horizon), sample)
    close = close_of(sample)
    one, start = units[SERIES][0], int(units[START][7])
    last = start + 29
    found = ahead(one, start, 30, horizon)[-1, 0]
    assert found == pytest.approx(np.log(close[last + horizon] / close[last]))
    assert len(units) == 200 - 30 - horizon + 1


def test_the_volatility_is_that_of_the_rows_to_come() -> None:
    sample = sample_prices(0, 200)
    closes = Table(sample[SERIES][0].frame[["Date", "Close"]], "closes", {})
    given = prices(horizon=5, target="volatility")
    units = adapted(given, Examples({SERIES: [closes]}, ["closes"], "closes"))
    returns = np.diff(np.log(close_of(sample)))
    last = int(units[START][7]) + 29
    wanted = 0.5 * np.log((returns[last : last + 5] ** 2).mean() + given.features.least)
    assert ahead(units[SERIES][0], last - 29, 30, 5)[-1, 0] == pytest.approx(wanted)


@pytest.mark.parametrize("target", ["return", "volatility"])
def test_the_future_changes_nothing_before_it(target: str) -> None:
    sample = sample_prices(0, 300)
    other = sample[SERIES][0].frame.copy()
    prices_ = ["Open", "High", "Low", "Close"]
    other.loc[200:, prices_] = 3 * other.loc[200:, prices_]
    changed = Examples({SERIES: [Table(other, "made", {})]}, ["made"], "made")
    first, second = (prices(target=target, horizon=5) for _ in range(2))
    units = adapted(first, sample, "#200")
    again = adapted(second, changed, "#200")
    assert first.scaling.get_config() == second.scaling.get_config()
    assert first.features.get_config() == second.features.get_config()
    rows = np.arange(len(units))
    assert len(again) == len(units)
    features = [
        given.tensors(those)[FEATURES].fetch(rows, 0)
        for given, those in ((first, units), (second, again))
    ]
    np.testing.assert_array_equal(*features)


def test_raw_input_gives_the_tensors() -> None:
    given = prices(horizon=3)
    units = adapted(given, sample_prices(0, 120))
    raw = given.raw(units, given.metadata())
    assert raw[SERIES].shape == (len(units), 30, 5)
    prepared = given.prepare(raw)
    wanted = given.tensors(units)[FEATURES].fetch(np.arange(len(units)), 0)
    assert wanted.shape[1] == 30 - MONTH
    np.testing.assert_allclose(np.asarray(prepared[FEATURES]), wanted, rtol=1e-4, atol=1e-5)


def test_a_question_is_answered_for_the_rows_after_the_last() -> None:
    given = prices(horizon=2)
    sample = sample_prices(0, 120)
    adapted(given, sample)
    asked = given.asked(sample, given.metadata())
    assert [int(start) for start in asked[START]] == [90]


def test_a_series_that_is_too_short_says_how_long_it_must_be() -> None:
    given = prices()
    with pytest.raises(UserError, match="a window takes 30 rows of history and 1"):
        adapted(given, sample_prices(0, 25))


def test_a_feature_that_knows_tomorrow_is_refused() -> None:
    table = sample_prices(0, 300)[SERIES][0]
    close = table.frame["Close"].to_numpy(float)
    frame = table.frame.assign(signal=np.append(np.diff(np.log(close)), 0.0))
    spoilt = Table(frame, "spoilt", {"past": "signal"})
    with pytest.raises(UserError, match=r"spoilt: the covariate 'signal' knows the future"):
        adapted(prices(), Examples({SERIES: [spoilt]}, ["spoilt"], "spoilt"))


def test_covariates_are_features_as_they_are() -> None:
    table = sample_prices(0, 300)[SERIES][0]
    frame = table.frame.assign(rate=np.random.default_rng(0).normal(size=300))
    given = prices()
    units = adapted(
        given, Examples({SERIES: [Table(frame, "made", {"past": "rate"})]}, ["made"], "made")
    )
    assert given.features.names[-1] == "rate"
    raw = given.raw(units, given.metadata())
    assert raw["past"].shape == (len(units), 30, 1)
