"""LazyAdam against Keras on dense gradients and against the formulas on sparse ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.training.optimizer import LazyAdam
from apps.training.pacing import Learning

RATE, BETA1, BETA2, EPSILON = 0.01, 0.9, 0.999, 1e-8


def test_dense_gradients_are_treated_as_in_keras() -> None:
    draw = np.random.default_rng(0)
    start = draw.normal(size=(5, 3)).astype(np.float32)
    ours, theirs = keras.Variable(start), keras.Variable(start)
    lazy = LazyAdam(RATE, weight_decay=0.1)
    reference = keras.optimizers.AdamW(RATE, weight_decay=0.1)
    for _ in range(7):
        gradient = draw.normal(size=start.shape).astype(np.float32)
        lazy.apply([tf.constant(gradient)], [ours])
        reference.apply([tf.constant(gradient)], [theirs])
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert np.abs(ours.numpy() - start).max() > RATE


@pytest.mark.parametrize("compiled", [False, True])
def test_sparse_gradients_move_the_rows_of_the_batch_only(compiled: bool) -> None:
    draw = np.random.default_rng(1)
    start = draw.normal(size=(6, 2)).astype(np.float32)
    variable = keras.Variable(start)
    optimizer = LazyAdam(RATE, weight_decay=0.0, epsilon=EPSILON)
    optimizer.build([variable])

    def apply(values: tf.Tensor, indices: tf.Tensor) -> None:
        gradient = tf.IndexedSlices(values, indices, tf.constant(start.shape))
        optimizer.apply([gradient], [variable])

    step_once = tf.function(apply, reduce_retracing=True) if compiled else apply

    table, mean, square = start.astype(np.float64), np.zeros((6, 2)), np.zeros((6, 2))
    for step, indices in enumerate(([0, 2, 0, 0], [2], [3, 2, 3], [0, 5]), 1):
        values = draw.normal(size=(len(indices), 2)).astype(np.float32)
        step_once(tf.constant(values), tf.constant(indices))
        for row in set(indices):
            gradient = values[np.array(indices) == row].astype(np.float64).sum(0)
            mean[row] = BETA1 * mean[row] + (1 - BETA1) * gradient
            square[row] = BETA2 * square[row] + (1 - BETA2) * gradient**2
            corrected = np.sqrt(1 - BETA2**step) / (1 - BETA1**step)
            table[row] -= RATE * corrected * mean[row] / (np.sqrt(square[row]) + EPSILON)
        np.testing.assert_allclose(variable.numpy(), table, rtol=1e-5, atol=1e-6)
    untouched = [1, 4]
    np.testing.assert_array_equal(variable.numpy()[untouched], start[untouched])


def test_every_row_in_every_batch_makes_sparse_and_dense_agree() -> None:
    draw = np.random.default_rng(2)
    start = draw.normal(size=(4, 3)).astype(np.float32)
    sparse, dense = keras.Variable(start), keras.Variable(start)
    lazy, reference = LazyAdam(RATE, epsilon=EPSILON), LazyAdam(RATE, epsilon=EPSILON)
    for _ in range(5):
        gradient = draw.normal(size=start.shape).astype(np.float32)
        order = draw.permutation(4)
        slices = tf.IndexedSlices(gradient[order], tf.constant(order), tf.constant([4, 3]))
        lazy.apply([slices], [sparse])
        reference.apply([tf.constant(gradient)], [dense])
    np.testing.assert_allclose(sparse.numpy(), dense.numpy(), rtol=1e-5, atol=1e-6)


def test_optimizer_survives_saving(tmp_path: Path) -> None:
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(LazyAdam(0.02)))
    assert isinstance(restored, LazyAdam)
    assert float(restored.learning_rate) == pytest.approx(0.02)


@pytest.mark.parametrize("compiled", [False, True])
def test_averages_of_the_weights_follow_them_and_stand_in_for_them(compiled: bool) -> None:
    variable, table = (keras.Variable(np.ones((3, 2), np.float32)) for _ in range(2))
    optimizer = LazyAdam(RATE, weight_decay=0.0, use_ema=True, ema_momentum=0.3)
    optimizer.build([variable, table])

    def apply() -> None:
        rows = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([3, 2]))
        optimizer.apply([tf.ones((3, 2)), rows], [variable, table])

    step_once = tf.function(apply) if compiled else apply
    expected = [np.zeros((3, 2)), np.zeros((3, 2))]
    for step in range(6):
        step_once()
        momentum = min(0.3, step / (10 + step))
        for average, weights in zip(expected, (variable, table), strict=True):
            average += (1 - momentum) * (weights.numpy() - average)
    last = variable.numpy()
    with optimizer.averaged():
        np.testing.assert_allclose(variable, expected[0], rtol=1e-6)
        np.testing.assert_allclose(table, expected[1], rtol=1e-6)
        assert np.abs(variable.numpy() - last).min() > 0
    np.testing.assert_array_equal(variable, last)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_variable_that_begins_later_moves_like_a_fresh_one_at_its_own_rate(sparse: bool) -> None:
    draw = np.random.default_rng(3)
    start = draw.normal(size=(2, 4, 3)).astype(np.float32)
    first, late = map(keras.Variable, start)
    fresh = keras.Variable(start[1])
    lazy = LazyAdam(RATE, weight_decay=0.1, use_ema=True, ema_momentum=0.9)
    reference = LazyAdam(0.2 * RATE, weight_decay=0.1, use_ema=True, ema_momentum=0.9)
    lazy.build([first, late])

    def gradient() -> Any:
        values = draw.normal(size=(4, 3)).astype(np.float32)
        return tf.IndexedSlices(values, tf.range(4), [4, 3]) if sparse else tf.constant(values)

    lazy.pace([Learning(), Learning(0.2, None)])
    for _ in range(6):
        lazy.apply([gradient()], [first])
    with lazy.averaged():
        np.testing.assert_array_equal(late, start[1])
        assert np.abs(first.numpy() - start[0]).max() > 0
    lazy.pace([Learning(), Learning(0.2, 6)])
    for _ in range(5):
        given = gradient()
        lazy.apply([gradient(), given], [first, late])
        reference.apply([given], [fresh])
        np.testing.assert_allclose(late, fresh, rtol=1e-5, atol=1e-6)
    with lazy.averaged(), reference.averaged():
        np.testing.assert_allclose(late, fresh, rtol=1e-5, atol=1e-6)
