"""Networks that forecast: shapes, what they depend on, and their parts against references."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from apps.layers.forecasting.autoregressive import AutoregressiveForecaster
from apps.layers.forecasting.direct import DirectForecaster
from apps.layers.forecasting.segments import SegmentForecaster

CONTEXT, HORIZON, TARGETS = 24, 7, 2
LEVELS = [0.1, 0.5, 0.9]
SIZES = {"context": CONTEXT, "horizon": HORIZON, "targets": TARGETS, "units": 6, "depth": 2}
SHAPES = {
    "series": (CONTEXT, TARGETS),
    "past": (CONTEXT, 1),
    "future": (CONTEXT + HORIZON, 2),
    "calendar": (CONTEXT + HORIZON, 4),
    "static": (3,),
}


def layer_of(kind: str, **changes: Any) -> keras.layers.Layer:
    if kind == "segments":
        given = {"segment": 4, "levels": LEVELS, "linear": 12, **SIZES, **changes}
        return SegmentForecaster(**given, name="forecaster")
    if kind == "direct":
        return DirectForecaster(**{"levels": LEVELS, **SIZES, **changes}, name="forecaster")
    given = {"levels": LEVELS, "paths": 50, **SIZES, **changes}
    return AutoregressiveForecaster(**given, name="forecaster")


def inputs_of(kind: str, rows: int = 3, seed: int = 0) -> dict[str, tf.Tensor]:
    draw = np.random.default_rng(seed)
    names = [name for name in SHAPES if kind != "autoregressive" or name != "past"]
    return {n: tf.constant(draw.normal(size=(rows, *SHAPES[n])), tf.float32) for n in names}


@pytest.mark.parametrize("kind", ["segments", "direct", "autoregressive"])
def test_a_saved_network_says_the_same_and_its_quantiles_rise(kind: str, tmp_path: Path) -> None:
    given = inputs_of(kind)
    symbolic = {n: keras.Input(v.shape[1:], name=n) for n, v in given.items()}
    model = keras.Model(symbolic, layer_of(kind)(symbolic))
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * tf.random.stateless_normal(weight.shape, [1, 2]))
    said = model(given).numpy()
    assert said.shape == (3, HORIZON, TARGETS, len(LEVELS))
    assert (np.diff(said, axis=-1) >= 0).all()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(again(given).numpy(), said)


@pytest.mark.parametrize("kind", ["segments", "direct", "autoregressive"])
@pytest.mark.parametrize("name", ["series", "past", "future", "calendar", "static"])
def test_everything_that_is_known_matters(kind: str, name: str) -> None:
    given = inputs_of(kind)
    if name not in given:
        pytest.skip("it reads none")
    layer = layer_of(kind, linear=0) if kind == "segments" else layer_of(kind)
    before = layer(given).numpy()
    other = {**given, name: given[name] + tf.random.stateless_normal(given[name].shape, [3, 4])}
    assert np.abs(layer(other).numpy() - before).max() > 1e-4


@pytest.mark.parametrize("kind", ["segments", "direct", "autoregressive"])
def test_a_shifted_window_has_a_shifted_forecast(kind: str) -> None:
    given, layer = inputs_of(kind), layer_of(kind, scaling="last")
    shifted = {**given, "series": given["series"] + 100.0}
    np.testing.assert_allclose(layer(shifted).numpy(), layer(given).numpy() + 100.0, atol=1e-3)


def test_before_training_segments_say_what_the_linear_map_says() -> None:
    given, layer = inputs_of("segments"), layer_of("segments")
    layer(given)
    line = np.random.default_rng(1).normal(size=(12, HORIZON)).astype(np.float32)
    layer.line.assign(line)
    series = given["series"].numpy()
    wanted = np.einsum("blc,lh->bhc", series[:, -12:] - series[:, -1:], line) + series[:, -1:]
    said = layer(given).numpy()
    for level in range(3):
        np.testing.assert_allclose(said[..., level], wanted, atol=1e-4)


def test_the_likelihood_is_that_of_students_distribution() -> None:
    draw = np.random.default_rng(0)
    location, value = draw.normal(size=(2, 50))
    scale, freedom = draw.uniform(0.1, 3, 50), draw.uniform(2.1, 30, 50)
    parameters = tf.constant(np.stack([location, scale, freedom], -1), tf.float32)
    nats = layer_of("autoregressive").nats(parameters, tf.constant(value, tf.float32)).numpy()
    wanted = -stats.t.logpdf(value, freedom, location, scale)
    np.testing.assert_allclose(nats, wanted, rtol=1e-4, atol=1e-5)


def test_draws_follow_students_distribution() -> None:
    layer = layer_of("autoregressive", paths=4000)
    parameters = tf.constant([[[1.0, 2.0, 4.0]]])
    drawn = layer._values(parameters, 0).numpy().ravel()
    assert stats.kstest(drawn, stats.t(4.0, 1.0, 2.0).cdf).pvalue > 0.01


def test_a_stream_in_chunks_is_the_whole() -> None:
    layer = layer_of("autoregressive", scaling="raw")
    given = inputs_of("autoregressive")
    layer(given)
    chunk = {"series": given["series"], "static": given["static"]}
    chunk |= {name: given[name][:, 1 : CONTEXT + 1] for name in ("future", "calendar")}

    def followed(cuts: list[int]) -> np.ndarray:
        states = {n: tf.zeros([3, *s.shape[1:]]) for n, s in layer.state_specs().items()}
        found = []
        for first, last in itertools.pairwise(cuts):
            part = {n: v if n == "static" else v[:, first:last] for n, v in chunk.items()}
            said, states = layer.step(part, states)
            found.append(said.numpy())
        return np.concatenate(found, 1)

    whole = followed([0, CONTEXT])
    assert whole.shape == (3, CONTEXT, TARGETS, len(LEVELS))
    np.testing.assert_allclose(followed([0, 1, 2, 9, CONTEXT]), whole, atol=1e-4)
