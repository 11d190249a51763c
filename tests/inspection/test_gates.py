"""Gates and cells against stock Keras and against numbers by hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.inspection.gates import Gates, gates_of
from apps.layers.lstm import LSTM
from apps.layers.watching import Call, watched_by

STEPS, FEATURES, UNITS = 7, 3, 4


def called(layer: Any, x: np.ndarray, **given: Any) -> tuple[Any, Call]:
    """What a layer returns, and the call that was seen."""
    calls: list[Call] = []

    def note(call: Call) -> tf.Tensor:
        calls.append(call)
        return call.x

    with watched_by(note):
        output = layer(tf.constant(x), **given)
    (call,) = calls
    return output, call


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, STEPS, FEATURES)).astype(np.float32)


@pytest.mark.parametrize("backwards", [False, True])
def test_states_are_those_of_stock_keras(x: np.ndarray, backwards: bool) -> None:
    layer = LSTM(UNITS, return_sequences=True, go_backwards=backwards)
    _, call = called(layer, x)
    stock = keras.layers.LSTM(
        UNITS, return_sequences=True, return_state=True, go_backwards=backwards, use_cudnn=False
    )
    stock.build(x.shape)
    stock.set_weights(layer.get_weights())
    hidden, last, cell = stock(x)
    found = gates_of(call, "lstm")
    order = slice(None, None, -1) if backwards else slice(None)
    np.testing.assert_allclose(found.hidden[order], hidden[0], atol=1e-6)
    np.testing.assert_allclose(found.cell[order][-1], cell[0], atol=1e-6)
    np.testing.assert_allclose(found.hidden[order][-1], last[0], atol=1e-6)
    assert found.backwards == backwards


def test_steps_that_do_not_count_are_left_out(x: np.ndarray) -> None:
    layer = LSTM(UNITS)
    mask = tf.constant([[True] * 5 + [False] * 2])
    output, call = called(layer, x, mask=mask)
    found = gates_of(call, "lstm")
    assert found.cell.shape == (5, UNITS)
    np.testing.assert_allclose(found.hidden[-1], output[0], atol=1e-6)


def test_a_cell_by_hand() -> None:
    layer = LSTM(1, return_sequences=True)
    layer.build((None, None, 1))
    kernel, recurrent, bias = [[1.0, 2.0, 3.0, 4.0]], [[0.5, -0.5, 1.0, 0.0]], [0.1, 1.0, 0.0, -1.0]
    layer.set_weights([np.array(one) for one in (kernel, recurrent, bias)])
    _, call = called(layer, np.array([[[0.3], [-0.2]]], np.float32))
    found = gates_of(call, "lstm")

    def open_(value: float) -> float:
        return 1 / (1 + np.exp(-value))

    i, f, g, o = open_(0.3 + 0.1), open_(0.6 + 1.0), np.tanh(0.9), open_(1.2 - 1.0)
    cell = i * g
    hidden = o * np.tanh(cell)
    gates = (found.input, found.forget, found.candidate, found.output, found.cell, found.hidden)
    assert [float(one[0, 0]) for one in gates] == pytest.approx([i, f, g, o, cell, hidden])
    f = open_(-0.4 - 0.5 * hidden + 1.0)
    cell = f * cell + open_(-0.2 + 0.5 * hidden + 0.1) * np.tanh(-0.6 + hidden)
    assert float(found.cell[1, 0]) == pytest.approx(cell)
    assert float(found.forget[1, 0]) == pytest.approx(f)


def test_half_lives_are_those_of_the_forget_gates() -> None:
    zeros = np.zeros((6, 3))
    forget = np.tile([0.5, 0.5**0.1, 0.0], (6, 1))
    forget[:, 2] = [0.25, 1.0] * 3
    gates = Gates("lstm", False, zeros, forget, zeros, zeros, zeros, zeros)
    assert gates.half_lives == pytest.approx([1.0, 10.0, 1.0], rel=1e-6)


def test_what_a_watcher_returns_replaces_the_inputs(x: np.ndarray) -> None:
    layer = LSTM(UNITS)
    layer(x)
    with watched_by(lambda call: 2.0 * call.x):
        doubled = layer(tf.constant(x))
    np.testing.assert_allclose(doubled, layer(tf.constant(2.0 * x)), atol=1e-7)
    assert not np.allclose(doubled, layer(tf.constant(x)))
