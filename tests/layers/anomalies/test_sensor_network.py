"""Scores of sensors: whatever a stream is cut into, and whatever comes later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.anomalies.sensor_autoencoder import SensorAutoencoder
from apps.layers.anomalies.sensor_network import SensorNetwork

CHANNELS, ROWS = 2, 330
SCORES = ("surprise", "error", "expected", "low", "high")
OUTPUTS = (*SCORES, "middle", "spread", "shift", "scale")

Traced = Callable[..., dict[str, Any]]


Network = SensorNetwork | SensorAutoencoder


def made(kind: str, **given: Any) -> Network:
    """A network that forecasts, or says rows again, in a running scale or in a given one."""
    if kind == "forecaster":
        return SensorNetwork(CHANNELS, 5, **given)
    scale = [[1e7, 0.0], [2.0, 1e4]] if kind == "fixed" else None
    return SensorAutoencoder(CHANNELS, scale, **given)


@pytest.fixture(scope="module", params=["forecaster", "autoencoder", "fixed"])
def network(request: pytest.FixtureRequest) -> Network:
    return made(request.param, units=4, seed=0)


@pytest.fixture(scope="module")
def traced(network: Network) -> Traced:
    signature = (
        tf.TensorSpec((None, None, CHANNELS), tf.float64),
        tf.TensorSpec((None,), tf.int32),
        network.state_specs(),
    )
    graph = tf.function(lambda *given: network(*given), input_signature=signature)

    def call(series: np.ndarray, lengths: np.ndarray, states: Any) -> dict[str, np.ndarray]:
        found = graph(tf.constant(series), tf.constant(lengths, tf.int32), states)
        return {name: value.numpy() for name, value in found.items()}

    return call


def zeros(network: Network, batch: int) -> dict[str, tf.Tensor]:
    specs = network.state_specs()
    return {name: tf.zeros((batch, *spec.shape[1:]), spec.dtype) for name, spec in specs.items()}


def sensors(batch: int, rows: int = ROWS) -> np.ndarray:
    """Large numbers that vary little and small ones that vary much; holes; a jump."""
    draw = np.random.default_rng(0)
    series = draw.normal(size=(batch, rows, CHANNELS)) * [1.0, 1e4] + [1e7, -5.0]
    series[:, rows // 2, 0] += 50.0
    series[draw.random(series.shape) < 0.03] = np.nan
    series[0, 50:60, 0] = series[1, :5] = np.nan
    return series


def alike(found: np.ndarray, wanted: np.ndarray, scale: np.ndarray, name: str) -> None:
    """Equal up to the rounding of float32 in the network."""
    if name in ("expected", "low", "high", "shift"):
        found, wanted = found / scale, wanted / scale
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_stream_gives_the_same_whatever_it_is_cut_into(
    network: Network, traced: Traced, seed: int
) -> None:
    lengths = np.array([ROWS, ROWS - 90, 20])
    series = sensors(3)
    whole = traced(series, lengths, zeros(network, 3))
    # The jump is seen.
    if isinstance(network, SensorNetwork):
        assert whole["surprise"][0, ROWS // 2, 0] > 2
    draw = np.random.default_rng(seed)
    position = np.zeros_like(lengths)
    states: dict[str, Any] = zeros(network, 3)
    parts: list[dict[str, list[np.ndarray]]] = [{n: [] for n in OUTPUTS} for _ in range(3)]
    while (position < lengths).any():
        most = int(draw.choice([1, 3, 150]))
        sizes = np.minimum(draw.integers(0, most + 1, 3), lengths - position)
        width = max(int(sizes.max()), 1) + int(draw.integers(0, 3))
        # Something other than zeros is in the padding.
        chunk = draw.normal(0, 1e9, (3, width, CHANNELS))
        for row, (start, size) in enumerate(zip(position, sizes, strict=True)):
            chunk[row, :size] = series[row, start : start + size]
        found = traced(chunk, sizes, states)
        states = {name: tf.constant(found[name]) for name in states}
        for row, size in enumerate(sizes):
            for name in OUTPUTS:
                parts[row][name].append(found[name][row, :size])
        position += sizes
    for row, length in enumerate(lengths):
        scale = whole["scale"][row, :length]
        for name in OUTPUTS:
            alike(np.concatenate(parts[row][name]), whole[name][row, :length], scale, name)
    for name in {"state_count", "state_rows", "state_errors", "state_last"} & set(states):
        np.testing.assert_array_equal(states[name], whole[name])


def test_what_comes_later_changes_nothing_before_it(network: Network, traced: Traced) -> None:
    series = sensors(2)
    other = series.copy()
    other[:, 200:] = np.random.default_rng(1).normal(size=other[:, 200:].shape) * 1e9
    lengths = np.full(2, ROWS)
    one, two = (traced(each, lengths, zeros(network, 2)) for each in (series, other))
    # What is forecast of a row does not depend on the row itself either.
    forecasts = isinstance(network, SensorNetwork)
    ends = dict.fromkeys(("expected", "low", "high", "shift", "scale"), 200 + forecasts)
    for name in OUTPUTS:
        end = ends.get(name, 200)
        np.testing.assert_allclose(one[name][:, :end], two[name][:, :end], rtol=1e-6, atol=1e-6)
    assert not np.allclose(one["expected"][:, 205:], two["expected"][:, 205:])


def test_scores_are_numbers_and_bands_hold_what_is_expected(
    network: Network, traced: Traced
) -> None:
    series = np.stack(
        [
            np.full((120, CHANNELS), 7.0),
            np.full((120, CHANNELS), np.nan),
            np.where(np.arange(120)[:, None] == 80, 1e300, np.zeros((120, CHANNELS))),
        ]
    )
    found = traced(series, np.full(3, 120), zeros(network, 3))
    for name, values in found.items():
        assert np.isfinite(values).all(), name
    assert (found["surprise"] >= 0).all()
    assert (found["low"] <= found["expected"]).all()
    assert (found["expected"] <= found["high"]).all()
    assert not found["surprise"][1].any()
    if isinstance(network, SensorNetwork):
        assert found["surprise"][2, 80].min() > 3


def test_in_training_there_are_no_scores_but_gradients(network: Network) -> None:
    network(sensors(2, 3), tf.constant([3, 3]), zeros(network, 2))
    with tf.GradientTape() as tape:
        found = network(sensors(2, 30), tf.constant([30, 20]), zeros(network, 2), training=True)
        loss = tf.reduce_sum(found["middle"]) + tf.reduce_sum(found["spread"])
    assert not found["surprise"].numpy().any()
    for gradient in tape.gradient(loss, network.trainable_variables):
        assert np.isfinite(gradient).all()
        assert np.any(gradient)


@pytest.mark.parametrize("kind", ["forecaster", "fixed"])
def test_a_saved_model_is_the_same_after_loading(kind: str, tmp_path: Path) -> None:
    layer = made(kind, units=[4, 3], depth=2, layer_dropout=0.1, output_dropout=0.2, seed=5)
    inputs: dict[str, Any] = {
        "series": keras.Input((None, CHANNELS), dtype="float64", name="series"),
        "lengths": keras.Input((), dtype="int32", name="lengths"),
    }
    states = {
        name: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=name)
        for name, spec in layer.state_specs().items()
    }
    model = keras.Model({**inputs, **states}, layer(inputs["series"], inputs["lengths"], states))
    model.save(tmp_path / "sensors.keras")
    loaded = keras.saving.load_model(tmp_path / "sensors.keras")
    given = {
        "series": tf.constant(sensors(2, 70)),
        "lengths": tf.constant([70, 60]),
        **zeros(layer, 2),
    }
    one, two = model(given), loaded(given)
    assert set(one) == set(two)
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)
        assert two[name].dtype == model.output[name].dtype
    again = loaded.get_layer(layer.name).get_config()
    assert again == layer.get_config()
