"""Attention pooling compared with numpy: whole, over a window, and over a stream."""

from __future__ import annotations

import chunks
import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.attention import AttentionPooling

LENGTHS = np.array([12, 7, 3, 1, 0], np.int32)


def steps(scale: float = 1) -> np.ndarray:
    return (scale * np.random.default_rng(0).normal(size=(5, 12, 4))).astype(np.float32)


def made(window: int | None = None, scale: float = 3, **settings: str) -> AttentionPooling:
    layer = AttentionPooling(6, window, seed=0, **settings)
    layer(steps(), LENGTHS)
    generator = np.random.default_rng(1)
    layer.set_weights([scale * generator.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def expected(layer: AttentionPooling, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a row's steps, and the steps' weighted mean."""
    named = {w.name: w.numpy().astype(np.float64) for w in layer.weights}
    hidden = np.tanh(row.astype(np.float64) @ named["kernel"] + named["bias"])
    exponentials = np.exp(hidden @ named["direction"][:, 0])
    if layer.window:
        exponentials[: -layer.window] = 0
    weights = exponentials / exponentials.sum()
    return weights, weights @ row


@pytest.mark.parametrize("window", [None, 1, 5, 100])
def test_definition(window: int | None) -> None:
    layer, x = made(window), steps()
    x[np.arange(12) >= LENGTHS[:, None]] = 1e6
    pooled, weights = layer(x, LENGTHS).numpy(), layer.weights_of(x, LENGTHS).numpy()
    for row, length in enumerate(LENGTHS[:4]):
        shares, mean = expected(layer, x[row, :length])
        np.testing.assert_allclose(weights[row, :length], shares, atol=1e-5)
        np.testing.assert_allclose(pooled[row], mean, atol=1e-5)
        assert not weights[row, length:].any()
    assert not pooled[4].any()
    assert not weights[4].any()


@pytest.mark.parametrize("most", [1, 6])
@pytest.mark.parametrize("window", [1, 4, 100])
def test_each_step_of_a_stream_pools_the_window_that_ends_there(window: int, most: int) -> None:
    layer, x = made(window), steps()
    streamed = chunks.outputs(layer.step, layer.state_specs(), x, LENGTHS, most=most)
    for row, length in enumerate(LENGTHS):
        assert len(streamed[row]) == length
        for step, found in enumerate(streamed[row]):
            so_far = layer(x[row : row + 1], np.array([step + 1], np.int32))[0]
            np.testing.assert_allclose(found, so_far, atol=1e-5)


def test_scores_far_apart_do_not_overflow() -> None:
    """Nor does a window vanish whose scores are all far below those before it."""
    layer, x = made(2, scale=40), steps(30)
    x[0, :6] *= 0.01
    streamed = chunks.outputs(layer.step, layer.state_specs(), x, LENGTHS, most=12)
    for row, length in enumerate(LENGTHS[:4]):
        whole = layer(x[row : row + 1], LENGTHS[row : row + 1])[0]
        assert np.isfinite(streamed[row]).all()
        np.testing.assert_allclose(streamed[row][length - 1], whole, rtol=1e-4, atol=1e-4)


def test_gradients_are_finite_and_leave_padding_alone() -> None:
    layer, x = made(3), tf.constant(steps())
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x, LENGTHS) ** 2)
    towards, *weights = tape.gradient(total, [x, *(w.value for w in layer.trainable_variables)])
    attended = (np.arange(12) < LENGTHS[:, None]) & (np.arange(12) >= LENGTHS[:, None] - 3)
    np.testing.assert_array_equal((towards.numpy() != 0).any(2), attended)
    for gradient in weights:
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def test_half_precision() -> None:
    half = made(dtype="mixed_float16", scale=1)
    pooled = half(steps(), LENGTHS)
    assert pooled.dtype == tf.float16
    np.testing.assert_allclose(pooled, made(scale=1)(steps(), LENGTHS), atol=0.01)
    # More steps than half precision can count.
    many = half(np.ones((1, 5000, 4), np.float32), np.array([5000], np.int32))
    np.testing.assert_allclose(many, np.ones((1, 4)), atol=0.01)


def test_shape_is_known_before_it_is_called() -> None:
    pooled = AttentionPooling(3)(keras.Input((None, 5)), keras.Input((), dtype="int32"))
    assert pooled.shape == (None, 5)


def test_without_a_window_it_does_not_stream() -> None:
    with pytest.raises(ValueError, match="set a window"):
        made().state_specs()
    with pytest.raises(ValueError, match="at least 1"):
        AttentionPooling(3, window=0)
