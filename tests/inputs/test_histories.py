"""Histories: which windows there are, and that nothing later than a window is seen in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas
import pytest

import apps
from apps.data import Examples
from apps.data.panels.table import Table
from apps.errors import UserError
from apps.timeseries.forecasting import Forecasting

CONTEXT, HORIZON = 24, 6


def table(rows: int = 200, **columns: np.ndarray) -> Examples:
    values = np.cumsum(np.random.default_rng(0).normal(size=(rows, 2)), 0)
    frame = pandas.DataFrame(
        {
            "time": pandas.date_range("2024-01-01", periods=rows, freq="h"),
            "a": values[:, 0],
            "b": values[:, 1],
            **columns,
        }
    )
    return Examples({"series": [Table(frame, "made.csv", {})]}, ["made.csv"], "made.csv")


def composed(examples: Examples, **settings: object) -> Forecasting:
    keras.utils.set_random_seed(0)
    values = {"context": CONTEXT, "horizon": HORIZON, "season": 24, "units": 4, "segment": 6}
    application = Forecasting(Forecasting.Config.from_values({**values, **settings}))
    checked = application.check(examples, learning=True)
    training, _ = application.input.split(checked, 0.25, None)
    application.compose(application.input.units(training))
    return application


def test_all_windows_of_a_stretch_are_units_and_earlier_rows_are_history() -> None:
    application = composed(table())
    rows = application.input.within(table(), "#150", "#180")
    units = application.input.units(application.check(rows, learning=False))
    assert len(units) == 30 - HORIZON + 1
    starts = np.asarray(units["start"])
    assert starts[0] == 150 - CONTEXT
    assert starts[-1] + CONTEXT + HORIZON == 180
    assert units.places[0].endswith("row 151")
    target = application.task.targets(units)["target"].fetch(np.array([0]), 0)[0]
    values = rows["series"][0].frame[["a", "b"]].to_numpy()
    restored = application.input.scaling.restored("series", target)
    np.testing.assert_allclose(restored, values[150 : 150 + HORIZON], rtol=1e-5, atol=1e-5)


def test_times_say_the_same_as_numbers_of_rows() -> None:
    application = composed(table())
    by_row = application.input.within(table(), "#150", "#180")
    by_time = application.input.within(table(), "2024-01-07T06:00", "2024-01-08T12:00")
    one, other = (
        application.input.units(application.check(rows, learning=False))
        for rows in (by_row, by_time)
    )
    np.testing.assert_array_equal(one["start"], other["start"])


def test_scaling_comes_from_the_rows_that_are_learnt_from() -> None:
    examples = table()
    values = examples["series"][0].frame[["a", "b"]].to_numpy()[:150]
    scaling = composed(examples).input.scaling
    np.testing.assert_allclose(scaling.means["series"], values.mean(0))
    np.testing.assert_allclose(scaling.deviations["series"], values.std(0))


def test_another_future_changes_nothing_before_it() -> None:
    cut = 150
    other = table()
    frame = other["series"][0].frame
    later = frame.index >= cut
    frame.loc[later, ["a", "b"]] = frame.loc[later, ["a", "b"]] * -7 + 1000
    found = []
    for examples in (table(), other):
        application = composed(examples)
        rows = application.input.within(examples, None, f"#{cut}")
        units = application.input.units(application.check(rows, learning=False))
        raw = application.raw(units)
        answered = application.served(dict(raw))
        weights = [weight.numpy() for weight in application.model.weights]
        found.append([*weights, *raw.values(), answered["quantiles"].numpy()])
    for one, another in zip(*found, strict=True):
        np.testing.assert_array_equal(one, another)


def test_covariates_must_be_known_as_far_as_the_horizon() -> None:
    promo = np.arange(200) % 2
    examples = table(promo=promo)
    one = examples["series"][0]
    roles = {"target": "a+b", "future": "promo"}
    with_roles = Examples({"series": [Table(one.frame, one.source, roles)]}, ["x"], "made.csv")
    application = composed(with_roles)
    with pytest.raises(UserError, match=r"known-future covariates end here.*needs 6"):
        application.input.asked(with_roles, application.metadata())
    ahead = one.frame.copy()
    ahead.loc[ahead.index[-HORIZON:], ["a", "b"]] = np.nan
    known = Examples({"series": [Table(ahead, one.source, roles)]}, ["x"], "made.csv")
    asked = application.input.asked(known, application.metadata())
    assert int(asked["start"][0]) == 200 - HORIZON - CONTEXT
    raw = application.raw(asked)
    np.testing.assert_array_equal(raw["future"][0, :, 0], promo[-HORIZON - CONTEXT :])


def test_series_too_short_for_a_window_say_how_long_they_must_be() -> None:
    with pytest.raises(UserError, match=r"20 rows.*24 rows of history and 6.*at least 36"):
        composed(table(20))
    with pytest.raises(UserError, match=r"200 rows, 200 of which count.*500 to forecast"):
        composed(table(), horizon=500)
    application = composed(table())
    with pytest.raises(UserError, match="the model reads 24"):
        application.input.asked(table(20), application.metadata())


def test_sizes_follow_from_the_series_unless_they_are_given() -> None:
    def chosen(rows: int, **settings: Any) -> Mapping[str, Any]:
        application = Forecasting(Forecasting.Config.from_values(settings))
        checked = application.check(table(rows), learning=True)
        return application.settings_for(application.input.units(checked))

    usual = chosen(2000)
    assert (usual["horizon"], usual["season"], usual["context"]) == (24, 24, 500)
    short = chosen(60)
    assert short["context"] + short["horizon"] <= 30
    # What is given counts for what is chosen.
    assert chosen(2000, context=96)["context"] == 96
    assert chosen(2000, context=96)["segment"] < usual["segment"]


def test_applications_without_time_refuse_limits() -> None:
    with pytest.raises(UserError, match="leave them out"):
        apps.train("sentiment", "sample", since="2020")


def test_very_many_windows_are_thinned_for_training_only() -> None:
    application = composed(table(2000), windows=100)
    checked = application.check(table(2000), learning=True)
    assert len(application.input.units(checked)) <= 100
    again = composed(table(2000))
    whole = again.check(table(2000), learning=False)
    assert len(again.input.units(whole)) == 2000 - CONTEXT - HORIZON + 1
