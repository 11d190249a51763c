"""Pooling compared with numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.pooling import LengthMask, MaxMeanPooling


def states(dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 6, 3)).astype(dtype)


def test_without_a_mask_every_step_counts() -> None:
    x = states()
    expected = np.concatenate([x.max(1), x.mean(1)], 1)
    np.testing.assert_allclose(MaxMeanPooling()(x).numpy(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_padding_is_left_out(dtype: str) -> None:
    x = states(dtype) - 5
    lengths = np.array([6, 1, 3, 2])
    mask = LengthMask()(tf.zeros((4, 6), tf.int32), tf.constant(lengths))
    np.testing.assert_array_equal(mask.numpy(), np.arange(6) < lengths[:, None])
    pooled = MaxMeanPooling(dtype=dtype)(x, mask=mask).numpy()
    for row, length in enumerate(lengths):
        real = x[row, :length].astype(np.float64)
        expected = np.concatenate([real.max(0), real.mean(0)])
        tolerance = 1e-6 if dtype == "float32" else 5e-3
        np.testing.assert_allclose(pooled[row], expected, rtol=tolerance)


def test_what_stands_in_the_padding_does_not_matter() -> None:
    x = states()
    mask = tf.constant(np.arange(6) < np.array([[2], [3], [6], [1]]))
    other = np.where(mask.numpy()[..., None], x, np.float32(1e6))
    pool = MaxMeanPooling()
    np.testing.assert_allclose(pool(x, mask=mask), pool(other, mask=mask), rtol=1e-6)


def test_a_row_without_steps_is_zeros() -> None:
    """Without a step, the maximum would be the lowest number of the dtype."""
    mask = tf.constant(np.arange(6) < np.array([[2], [0], [6], [1]]))
    pooled = MaxMeanPooling()(states(), mask=mask).numpy()
    assert (pooled[1] == 0).all()
    assert (pooled[[0, 2, 3]] != 0).all()


def test_gradient_reaches_real_steps_only() -> None:
    x = tf.constant(states())
    mask = tf.constant(np.arange(6) < np.array([[2], [3], [6], [1]]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(MaxMeanPooling()(x, mask=mask))
    gradient = tape.gradient(total, x).numpy()
    np.testing.assert_array_equal((gradient != 0).any(2), mask.numpy())


def test_shape_is_known_before_it_is_called() -> None:
    pooled = MaxMeanPooling()(keras.Input((None, 5)))
    assert pooled.shape == (None, 10)
