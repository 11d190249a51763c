"""Numbers and times of series inside the graph: as exact as outside of it."""

from __future__ import annotations

import datetime

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.calendar import Calendar, periods_of, time_text
from apps.layers.panel_scaling import PanelScaling
from apps.layers.quantile_shift import QuantileShift

LEVELS = [0.1, 0.5, 0.9]


def test_times_are_written_as_python_writes_them() -> None:
    seconds = np.random.default_rng(0).integers(-(10**10), 10**11, 500)
    special = [0, -1, 951_782_400, 1_709_251_199, 4_102_444_799, 1_583_020_800]
    seconds = np.concatenate([special, seconds])
    origin = datetime.datetime(1970, 1, 1)
    wanted = [origin + datetime.timedelta(seconds=int(one)) for one in seconds]
    said = time_text(tf.constant(seconds[None], tf.float64)).numpy()[0]
    assert [one.decode() for one in said] == [moment.isoformat() for moment in wanted]
    days = time_text(tf.constant(seconds, tf.float64), day_only=True).numpy()
    assert [one.decode() for one in days] == [moment.date().isoformat() for moment in wanted]


def test_the_calendar_is_the_same_inside_and_outside_the_graph() -> None:
    time = np.random.default_rng(0).uniform(1e9, 2e9, (3, 20))
    layer = Calendar(["day", "week", "year"])
    raw = keras.Input((20,), dtype="float64")
    inside = keras.Model(raw, layer(raw))(tf.constant(time)).numpy()
    np.testing.assert_allclose(inside, layer.of(time), atol=1e-6)
    noon = layer.of(np.array([[12 * 3600.0]]))[0, 0]
    np.testing.assert_allclose(noon[:2], [0.0, -1.0], atol=1e-6)


def test_steps_show_only_periods_that_are_longer() -> None:
    assert periods_of(3600.0) == ["day", "week", "year"]
    assert periods_of(86_400.0) == ["week", "year"]
    assert periods_of(30 * 86_400.0) == ["year"]
    assert periods_of(float("inf")) == []


def test_large_numbers_that_vary_little_keep_their_digits() -> None:
    rows = 1e9 + np.random.default_rng(0).normal(size=(200, 2))
    layer = PanelScaling.adapt({}, {"series": rows}, [1.0, 1.0])
    raw = keras.Input((200, 2), dtype="float64")
    inside = keras.Model(raw, layer({"series": raw}))(tf.constant(rows[None]))["series"].numpy()[0]
    wanted = (rows - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(inside, wanted, atol=1e-5)
    np.testing.assert_allclose(layer.of("series", rows), wanted, atol=1e-5)
    np.testing.assert_allclose(layer.restored("series", inside), rows, rtol=1e-12)


def test_a_constant_channel_is_only_shifted() -> None:
    layer = PanelScaling.adapt({}, {"series": np.full((50, 1), 7.0)}, [0.0])
    assert layer.deviations["series"] == [1.0]
    assert (layer.of("series", np.full((3, 1), 8.0)) == 1.0).all()


@pytest.mark.parametrize(("windows", "horizon"), [(2000, 3), (40, 5), (5, 2)])
@pytest.mark.parametrize("levels", [[0.1, 0.5, 0.9], [0.1, 0.5]])
def test_calibrated_intervals_cover_what_they_say(
    windows: int, horizon: int, levels: list[float]
) -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(2 * windows + 4000, horizon, 2))
    # Much too narrow, and off at one side.
    said = np.array([-0.3, 0.05, 0.2], np.float32)[: len(levels)]
    said = np.broadcast_to(said, (*truth.shape, len(levels)))
    layer = QuantileShift(levels)
    layer(said[:1])
    layer.calibrate(said[:windows], truth[:windows])
    after, later = layer(said[windows:]).numpy(), truth[windows:]
    tolerance = 4 * np.sqrt(0.16 / (windows * (1 if windows > 100 else horizon * 2)))
    if len(levels) == 3:
        inside = (after[..., 0] <= later) & (later <= after[..., 2])
        assert abs(inside.mean() - 0.8) < tolerance
    else:
        assert abs((later <= after[..., 0]).mean() - 0.1) < tolerance
    np.testing.assert_array_equal(after[..., 1], said[windows:][..., 1])


def test_each_quantile_moves_to_its_share() -> None:
    draw = np.random.default_rng(0)
    truth = 1.0 + draw.exponential(size=(3000, 1, 1))
    said = np.broadcast_to([-0.3, 0.0, 0.3], (*truth.shape, 3)).astype(np.float32)
    layer = QuantileShift(LEVELS)
    layer(said[:1])
    layer.calibrate(said[:1500], truth[:1500], "each")
    below = (truth[1500:, ..., None] <= layer(said[1500:]).numpy()).mean((0, 1, 2))
    np.testing.assert_allclose(below, LEVELS, atol=0.04)


def test_the_median_stays_however_far_the_others_move() -> None:
    layer = QuantileShift(LEVELS)
    said = np.sort(np.random.default_rng(0).normal(size=(20, 2, 1, 3)), -1).astype(np.float32)
    layer(said)
    layer.shift.assign(np.tile([5.0, 0.0, -5.0], (2, 1, 1)))
    after = layer(said).numpy()
    np.testing.assert_array_equal(after[..., 1], said[..., 1])
    assert (np.diff(after, axis=-1) >= 0).all()


def test_unknown_values_do_not_calibrate() -> None:
    said = np.zeros((300, 1, 1, 3), np.float32)
    truth = np.random.default_rng(0).normal(size=(300, 1, 1))
    holes = np.concatenate([truth, np.full((300, 1, 1), np.nan)])
    one, other = QuantileShift(LEVELS), QuantileShift(LEVELS)
    for layer in (one, other):
        layer(said[:1])
    one.calibrate(said, truth)
    other.calibrate(np.concatenate([said, said]), holes)
    np.testing.assert_array_equal(one.shift.numpy(), other.shift.numpy())
    assert np.abs(one.shift.numpy()).max() > 1
