"""How seldom an error is: as a loop with a sorted list has it, and as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.anomalies.surprise import LARGEST, surprise

# Two channels each time, so that it is traced once.
TRACED = tf.function(
    surprise,
    input_signature=[
        tf.TensorSpec((None, None, 2), tf.float64),
        tf.TensorSpec((None, None, 2), tf.bool),
        tf.TensorSpec((None, 2), tf.float64),
        tf.TensorSpec((None, 2, LARGEST), tf.float64),
    ],
)


def surprises(errors: np.ndarray, there: np.ndarray | None = None) -> np.ndarray:
    """Of errors `(batch, rows, channels)`, none of them seen before."""
    batch, _, channels = errors.shape
    there = np.ones(errors.shape, bool) if there is None else there
    found, _, _ = TRACED(
        tf.constant(errors),
        tf.constant(there),
        tf.zeros((batch, channels), tf.float64),
        tf.zeros((batch, channels, LARGEST), tf.float64),
    )
    return found.numpy()


def looped(errors: np.ndarray, there: np.ndarray) -> list[float]:
    """Of one channel, with a list of all errors before."""
    before: list[float] = []
    found = []
    for error, counts in zip(errors, there, strict=True):
        size = int(min(max(0.005 * len(before), 5), LARGEST))
        tail = [math.log(max(one, 1e-12)) for one in sorted(before)[-size:]]
        value = 0.0
        if counts and len(before) >= 50 and math.log(max(error, 1e-12)) > tail[0]:
            mean = sum(tail) / size - tail[0]
            beyond = math.log(max(error, 1e-12)) - tail[0]
            value = math.log(len(before) / size) + beyond / max(mean, 0.1)
            value = min(max(value / math.log(10), 0.0), 30.0)
        found.append(value)
        if counts:
            before.append(error)
    return found


def test_surprise_is_that_of_a_loop() -> None:
    draw = np.random.default_rng(0)
    errors = np.abs(draw.standard_t(2, (2, 1500, 2))) * [1e-9, 1e9]
    errors[0, 700, 0] = 0.0
    there = draw.random(errors.shape) < 0.9
    found = surprises(errors, there)
    for row in range(2):
        for channel in range(2):
            wanted = looped(errors[row, :, channel], there[row, :, channel])
            np.testing.assert_allclose(found[row, :, channel], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("exponent", [1.0, 3.0])
def test_as_many_errors_are_surprising_as_it_says(exponent: float) -> None:
    draw = np.random.default_rng(1)
    errors = draw.pareto(exponent, (50, 3000, 2)) + 1.0
    found = surprises(errors)[:, 1000:]
    # 200 rows of 200,000 in the mean.
    share = float((found >= 3.0).mean())
    assert 0.5e-3 < share < 2e-3


def test_nothing_surprises_before_enough_has_been_seen() -> None:
    errors = np.repeat(np.exp(np.arange(60.0))[None, :, None], 2, 2)
    found = surprises(errors)[0, :, 0]
    assert not found[:50].any()
    assert found[50:].all()


def test_whatever_comes_is_a_number() -> None:
    draw = np.random.default_rng(2)
    cases = [
        np.zeros(400),
        np.full(400, 3.0),
        np.where(np.arange(400) == 300, 1e300, 0.0),
        np.where(np.arange(400) % 100 == 99, 1e15, draw.random(400) * 1e-15),
        draw.exponential(size=400),
    ]
    errors = np.repeat(np.stack(cases)[..., None], 2, 2)
    there = np.ones(errors.shape, bool)
    there[4] = False
    found = surprises(errors, there)
    assert np.isfinite(found).all()
    assert found.min() >= 0.0
    assert found.max() <= 30.0
    # What never changes, and what is not there, surprises nobody.
    assert not found[[0, 1, 4]].any()
    assert (found[2, 300] == 30.0).all()


def test_states_carry_it_on() -> None:
    errors = np.random.default_rng(3).exponential(size=(2, 500, 2))
    whole = surprises(errors)
    count = tf.zeros((2, 2), tf.float64)
    largest = tf.zeros((2, 2, LARGEST), tf.float64)
    parts = []
    for piece in np.split(errors, [1, 60, 333], 1):
        found, count, largest = TRACED(
            tf.constant(piece), tf.ones(piece.shape, tf.bool), count, largest
        )
        parts.append(found)
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole)
    np.testing.assert_array_equal(largest, np.sort(errors, 1)[:, ::-1][:, :LARGEST].swapaxes(1, 2))
    assert (count.numpy() == 500).all()
