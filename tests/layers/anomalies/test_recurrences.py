"""Recurrences without a loop over rows give what a loop over rows gives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.anomalies.recurrences import carried_on, linear_recurrence

COLUMNS = tf.TensorSpec((None, None, 2), tf.float64)
TRACED = tf.function(
    linear_recurrence, input_signature=[COLUMNS, COLUMNS, tf.TensorSpec((None, 2), tf.float64)]
)


@pytest.mark.parametrize("lowest", [0.5, 0.999])
@pytest.mark.parametrize("rows", [0, 1, 2, 256, 257, 700])
def test_a_linear_recurrence_is_its_loop(rows: int, lowest: float) -> None:
    draw = np.random.default_rng(rows)
    kept = draw.uniform(lowest, 1.0, (3, rows, 2))
    kept[:, ::7] = 1.0
    added = draw.normal(size=(3, rows, 2)) * [1.0, 1e9]
    first = draw.normal(size=(3, 2)) * [1e6, 1.0]
    wanted, before = np.zeros_like(added), first
    for row in range(rows):
        before = kept[:, row] * before + added[:, row]
        wanted[:, row] = before
    found = TRACED(*map(tf.constant, (kept, added, first)))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-6)


def test_what_is_kept_by_the_half_stays_a_number() -> None:
    kept = np.full((1, 600, 1), 0.5)
    found = linear_recurrence(
        tf.constant(kept), tf.constant(np.ones_like(kept)), tf.constant([[1e12]], tf.float64)
    )
    np.testing.assert_allclose(found[0, 100:, 0], 2.0, rtol=1e-9)


def test_holes_have_the_value_before() -> None:
    hole = np.nan
    values = np.array([[[hole, 1.0], [2.0, hole], [hole, hole], [hole, 4.0]]])
    values = np.concatenate([values, np.full_like(values, hole)])
    first = np.array([[9.0, 8.0], [7.0, 6.0]])
    found = carried_on(tf.constant(values), tf.constant(np.isfinite(values)), tf.constant(first))
    assert found[0].numpy().tolist() == [[9.0, 1.0], [2.0, 1.0], [2.0, 1.0], [2.0, 4.0]]
    assert found[1].numpy().tolist() == [[7.0, 6.0]] * 4


def test_random_holes_have_the_value_before() -> None:
    draw = np.random.default_rng(0)
    values, first = draw.normal(size=(4, 90, 3)), draw.normal(size=(4, 3))
    there = draw.random(values.shape) < np.array([0.02, 0.5, 0.98])
    wanted, before = np.zeros_like(values), first
    for row in range(90):
        before = np.where(there[:, row], values[:, row], before)
        wanted[:, row] = before
    values = np.where(there, values, np.nan)
    found = carried_on(*map(tf.constant, (values, there, first)))
    np.testing.assert_array_equal(found, wanted)
