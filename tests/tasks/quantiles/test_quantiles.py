"""Quantiles: losses and metrics against references, baselines, what a report is made of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_pinball_loss

from apps.data import Examples
from apps.data.panels import windows
from apps.data.panels.seasons import season_of, seasonal_error
from apps.data.panels.series import Step, TimeSeries
from apps.errors import UserError
from apps.layers.panel_scaling import PanelScaling
from apps.layers.quantile_shift import QuantileShift
from apps.tasks.quantiles import Quantiles, QuantilesConfig
from apps.tasks.quantiles.baselines import DLinear, Drift, LastValue, SeasonalNaive
from apps.tasks.quantiles.sections import quantile_sections
from apps.timeseries.forecasting import Forecasting

LEVELS = "0.1,0.5,0.9"
HOURS = Step("h", 3600.0, True, True)


def series(values: np.ndarray, step: Step = HOURS, **changes: object) -> TimeSeries:
    rows = len(values)
    given = {
        "name": "",
        "source": "made.csv",
        "times": np.arange(rows) * step.size,
        "targets": np.asarray(values, float),
        "observed": np.isfinite(values),
        "past": np.zeros((rows, 0)),
        "future": np.zeros((rows, 0)),
        "static": np.zeros(0),
        "lines": np.arange(1, rows + 1),
        "end": rows,
        "first": 0,
        "last": rows,
        "step": step,
    }
    return TimeSeries(**{**given, **changes})


def units(one: TimeSeries, context: int, horizon: int) -> Examples:
    examples = Examples({"series": [one], "channels": [{}]}, ["made.csv"], "made.csv")
    return windows.cut(examples, context, horizon)


def task(
    values: np.ndarray, horizon: int, context: int = 8, season: int = 4, usual: float = 0.0
) -> Quantiles:
    config: Any = SimpleNamespace(
        **vars(QuantilesConfig(levels=LEVELS)),
        probabilities=(0.1, 0.5, 0.9),
        context=context,
        horizon=horizon,
        season=season,
    )
    channels = {"targets": [str(n) for n in range(values.shape[1])], "step": {"size": 3600.0}}
    scaling = PanelScaling.adapt(
        channels, {"series": values}, [usual] * values.shape[1], name="panel"
    )
    adapted: dict[str, Any] = {"panel": scaling}
    return Quantiles().bound(config, 0, adapted)


def test_metrics_are_those_of_their_definitions() -> None:
    draw = np.random.default_rng(0)
    values = 50 + 10 * draw.normal(size=(120, 2))
    bound = task(values, 5)
    one = series(values, first=60)
    cut = units(one, 8, 5)
    target = bound.targets(cut)["target"].fetch(np.arange(len(cut)), 0).astype(float)
    forecast = np.sort(draw.normal(size=(*target.shape, 3)), -1)
    errors = np.tile(bound._error(one), (len(cut), 1))
    batch = {"target": target, "season_error": errors, "moment": np.arange(len(cut))}
    measured = bound.measure(bound.statistics(batch, forecast))
    losses = [
        mean_pinball_loss(target.ravel(), forecast[..., n].ravel(), alpha=level)
        for n, level in enumerate([0.1, 0.5, 0.9])
    ]
    middle = forecast[..., 1]
    assert measured["pinball"] == pytest.approx(np.mean(losses))
    assert measured["mse"] == pytest.approx(((target - middle) ** 2).mean())
    assert measured["mae"] == pytest.approx(np.abs(target - middle).mean())
    inside = (forecast[..., 0] <= target) & (target <= forecast[..., 2])
    assert measured["coverage"] == pytest.approx(inside.mean())
    scale = values.std(0)
    raw, said = target * scale + values.mean(0), middle * scale + values.mean(0)
    before = np.abs(values[4:60] - values[:56]).mean(0)
    assert measured["mase"] == pytest.approx((np.abs(raw - said) / before).mean(), rel=1e-6)
    wanted = (2 * np.abs(raw - said) / (np.abs(raw) + np.abs(said))).mean()
    assert measured["smape"] == pytest.approx(wanted, rel=1e-6)
    loss = bound.loss({"target": tf.constant(target, tf.float32)}, tf.constant(forecast, "float32"))
    assert float(loss) == pytest.approx(2 * measured["pinball"], rel=1e-5)


def test_small_series_count_as_much_as_large_ones() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(120, 1))
    small, large = series(values), series(100 * values)
    errors = [seasonal_error(one.targets, one.observed, 4)[0] for one in (small, large)]
    bound = task(np.concatenate([values, 100 * values]), 3, usual=2 / sum(1 / e for e in errors))
    losses = []
    for one in (small, large):
        cut = units(one, 8, 3)
        rows = np.arange(len(cut))
        batch = {
            name: tf.constant(column.fetch(rows, 0)) for name, column in bound.targets(cut).items()
        }
        middle = tf.reduce_mean(batch["target"])
        outputs = tf.fill([*batch["target"].shape, 3], middle)
        losses.append(float(bound.loss(batch, outputs)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_unknown_values_count_nowhere() -> None:
    values = np.random.default_rng(0).normal(size=(60, 1))
    holes = values.copy()
    holes[40] = np.nan
    bound = task(values, 3)
    whole, part = (bound.targets(units(series(v), 8, 3))["target"] for v in (values, holes))
    rows = np.arange(len(part))
    forecast = np.zeros((len(part), 3, 1, 3))
    batch = {"season_error": np.ones((len(part), 1)), "moment": rows}
    found = bound.statistics({**batch, "target": part.fetch(rows, 0)}, forecast)
    assert found["known"].sum() == len(part) * 3 - 3
    known = np.isfinite(part.fetch(rows, 0))
    wanted = (np.where(known, whole.fetch(rows, 0), 0.0) ** 2).sum()
    assert found["squared"].sum() == pytest.approx(wanted, rel=1e-6)


def test_mase_is_undefined_where_nothing_changes() -> None:
    bound = task(np.arange(60.0)[:, None] ** 2, 3)
    constant = series(np.ones((60, 1)), first=30)
    assert bound._error(constant) == [0.0]
    batch = {"target": np.ones((2, 3, 1)), "season_error": np.zeros((2, 1)), "moment": np.ones(2)}
    measured = bound.measure(bound.statistics(batch, np.zeros((2, 3, 1, 3))))
    assert np.isnan(measured["mase"])
    assert measured["mse"] == 1.0


def test_naive_forecasts_are_what_they_are_called() -> None:
    history = np.arange(1.0, 9.0).reshape(1, 8, 1)
    values = np.random.default_rng(0).normal(size=(40, 1))
    bound = task(values, 6)
    given = (bound.scaling, bound.config)
    assert LastValue(*given).points(history).ravel().tolist() == [8.0] * 6
    assert SeasonalNaive(*given).points(history[:, -4:]).ravel().tolist() == [5, 6, 7, 8, 5, 6]
    np.testing.assert_allclose(Drift(*given).points(history).ravel(), np.arange(9.0, 15.0))


def test_a_season_may_be_longer_than_a_window() -> None:
    wave = np.sin(2 * np.pi * np.arange(200) / 30)[:, None]
    bound = task(wave, 5, season=30)
    cut = units(series(wave), 8, 5)
    baseline = SeasonalNaive(bound.scaling, bound.config)
    middle = baseline.predict(cut)[..., 1]
    target = bound.targets(cut)["target"].fetch(np.arange(len(cut)), 0)
    far = np.asarray(cut["start"]) + 8 >= 30
    np.testing.assert_allclose(middle[far], target[far], atol=1e-5)
    # The first windows have no season before them.
    last = bound.scaling.of("series", wave)[np.asarray(cut["start"]) + 7]
    np.testing.assert_allclose(middle[0], np.repeat(last[:1], 5, 0), atol=1e-5)


def test_the_linear_baseline_is_least_squares_and_goes_on_with_a_line() -> None:
    values = np.random.default_rng(0).normal(size=(400, 2)).cumsum(0)
    bound = task(values, 3)
    cut = units(series(values), 8, 3)
    baseline = DLinear(bound.scaling, bound.config)
    baseline.fit(cut)
    scaled = bound.scaling.of("series", values).astype(float)
    seen = np.stack([scaled[s : s + 8] for s in cut["start"]])
    ahead = np.stack([scaled[s + 8 : s + 11] for s in cut["start"]])
    x = (seen - seen[:, -1:]).transpose(0, 2, 1).reshape(-1, 8)[:, :-1]
    y = (ahead - seen[:, -1:]).transpose(0, 2, 1).reshape(-1, 3)
    reference = LinearRegression(fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(baseline.weights[:-1], reference.coef_.T, atol=5e-3)
    line = np.arange(1.0, 101.0)[:, None]
    bound = task(line, 5)
    baseline = DLinear(bound.scaling, bound.config)
    baseline.fit(units(series(line), 8, 5))
    answered = baseline.predict(units(series(line), 8, 5).select([80]))
    said = bound.scaling.restored("series", answered[0, :, :, 1])
    np.testing.assert_allclose(said.ravel(), np.arange(89.0, 94.0), rtol=1e-3)


def test_residuals_give_baselines_quantiles_that_cover() -> None:
    values = np.random.default_rng(0).normal(size=(3000, 1))
    bound = task(values, 2)
    baseline = LastValue(bound.scaling, bound.config)
    baseline.fit(units(series(values), 8, 2))
    later = units(series(np.random.default_rng(1).normal(size=(3000, 1))), 8, 2)
    measured = bound.measure(bound.statistics_of(baseline, later))
    assert measured["coverage"] == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("later", "how", "moved"),
    [
        (3.0, "checked", True),
        (0.3, "checked", False),
        (0.3, "ends", True),
        (0.3, "each", True),
        (3.0, "never", False),
    ],
)
def test_intervals_are_calibrated_where_that_lasts(later: float, how: str, moved: bool) -> None:
    values = np.random.default_rng(0).normal(size=(40, 1))
    bound = task(values, 2)
    bound.config.conformal = how
    shift = QuantileShift((0.1, 0.5, 0.9))
    bound.adapted = {**bound.adapted, "shift": shift}
    said = np.broadcast_to([-1.3, 0.0, 1.3], (400, 2, 1, 3)).astype(np.float32)
    shift(said[:1])
    draw = np.random.default_rng(1)
    # Rougher than was learnt at first, and then as rough or much smoother.
    scale = np.where(np.arange(400) < 200, 3.0, later)[:, None, None]
    target = draw.normal(size=(400, 2, 1)) * scale
    order = draw.permutation(400)
    batch = {"target": target[order], "moment": np.arange(400.0)[order]}
    bound.calibrate([(batch, said[order])])
    assert bool(np.abs(shift.shift.numpy()).max() > 0.1) == moved


@pytest.mark.parametrize(
    ("step", "season"),
    [
        (HOURS, 24),
        (Step("15min", 900.0, True, True), 96),
        (Step("D", 86400.0, True, True), 7),
        (Step("B", 86400.0, True, True), 5),
        (Step("W-SUN", 604800.0, True, True), 52),
        (Step("MS", 30.4 * 86400, True, True), 12),
        (Step("QS-OCT", 91 * 86400.0, True, True), 4),
    ],
)
def test_seasons_of_dates(step: Step, season: int) -> None:
    assert season_of([series(np.zeros((5, 1)), step)]) == season


def test_seasons_of_numbers() -> None:
    step = Step("", 1.0, False, True)
    time = np.arange(400)
    wave = np.sin(2 * np.pi * time / 17) + 0.01 * time
    noise = np.random.default_rng(0).normal(size=400)
    assert season_of([series((wave + 0.2 * noise)[:, None], step)]) == 17
    assert season_of([series(noise.cumsum()[:, None] * 0 + time[:, None], step)]) == 1


@pytest.mark.parametrize("levels", ["0.1,0.9", "0.5,0.1", "0,0.5", "x", ""])
def test_levels_that_are_none_are_refused(levels: str) -> None:
    with pytest.raises(UserError, match="levels="):
        Forecasting.Config(levels=levels)


def test_a_report_shows_best_median_and_worst() -> None:
    draw = np.random.default_rng(0)
    rows = []
    for number in range(9):
        row = {"place": f"made.csv row {number}", "error": float(number), "levels": [0.1, 0.5, 0.9]}
        row |= {"by_horizon": [0.1 * number, None, 0.3], "below": [0.1, 0.5, 0.9]}
        if number in (0, 4, 8):
            bands = np.sort(draw.normal(size=(3, 3)), -1).tolist()
            one = {"target": "<b>", "history": [1.0, 2.0], "truth": [1.0, None, 2.0]}
            row["forecasts"] = [{**one, "quantiles": bands, "levels": [0.1, 0.5, 0.9]}]
        rows.append(row)
    found = {section.title: section.html for section in quantile_sections(rows)}
    assert len(found) == 3
    shown = found["Forecasts against what came"]
    assert shown.count("<svg") == 3
    assert shown.index("Best: made.csv row 0") < shown.index("Worst: made.csv row 8")
    assert "<b>" not in shown
