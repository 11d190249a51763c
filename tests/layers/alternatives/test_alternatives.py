"""Stacks of other layers than LSTMs: whole, in chunks and step by step they say the same."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.configuration import STACKS, StackConfig
from apps.layers import LSTMStack
from apps.layers.alternatives.attention import CausalAttention
from apps.layers.alternatives.linear_scan import linear_scan
from apps.layers.alternatives.matrix_memory import MatrixMemory
from apps.layers.alternatives.min_lstm import MinLSTM
from apps.layers.alternatives.recurrent import GatedRecurrentUnit, SimpleRecurrence
from apps.layers.alternatives.stack import MIXERS, PLAIN, sequence_stack, stack_of
from apps.layers.alternatives.state_space import DiagonalStateSpace
from apps.layers.pooling import LengthMask

OTHERS = [kind for kind in STACKS if kind != "lstm"]
STEPS, FEATURES = 150, 3


def drawn(rows: int = 2, steps: int = STEPS, features: int = FEATURES) -> tf.Tensor:
    return tf.constant(
        np.random.default_rng(0).standard_normal((rows, steps, features)), tf.float32
    )


def test_every_name_of_the_setting_is_built() -> None:
    assert set(STACKS) == {"lstm", *PLAIN, *MIXERS}
    assert isinstance(stack_of(StackConfig()), LSTMStack)
    for kind in OTHERS:
        made = stack_of(StackConfig(stack=kind, units=6, depth=2, bidirectional=True))
        assert made(drawn(steps=5)).shape == (2, 5, 12)


@pytest.mark.parametrize("kind", STACKS)
def test_chunks_with_states_and_steps_one_by_one_equal_the_whole(kind: str) -> None:
    stack = sequence_stack(kind, [5, 6], return_state=True, seed=0)
    x = drawn()
    whole, *end = stack(x)
    state = {
        name: tf.zeros([2, *shape], dtype) for name, (shape, dtype) in stack.state_specs().items()
    }
    parts = []
    # Rows of different lengths in a chunk, and a chunk with none of one row.
    for start, stop in ((0, 1), (1, 70), (70, 71), (71, STEPS)):
        lengths = tf.fill([2], stop - start)
        padded = tf.pad(x[:, start:stop], [[0, 0], [0, 3], [0, 0]], constant_values=9.0)
        said, count, state = stack.step(padded, lengths, state)
        assert count.numpy().tolist() == [stop - start] * 2
        parts.append(said[:, : stop - start])
        *_, same = stack.step(x[:, :0], tf.zeros([2], tf.int32), state)
        for name, value in state.items():
            np.testing.assert_allclose(same[name], value, atol=1e-6)
    np.testing.assert_allclose(tf.concat(parts, 1), whole, atol=2e-5)
    for name, value in zip(stack.state_specs(), end, strict=True):
        np.testing.assert_allclose(state[name], value, atol=2e-4)

    states = tuple(stack.get_initial_state(2))
    for step in range(40):
        states = stack.advance(x[:, step], states)
        np.testing.assert_allclose(stack.output_of(states), whole[:, step], atol=2e-5)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_masked_changes_nothing(kind: str, both: bool) -> None:
    stack = sequence_stack(kind, 6, 2, bidirectional=both, seed=1)
    last = sequence_stack(kind, 6, 2, bidirectional=both, return_sequences=False, seed=1)
    x = drawn(steps=20)
    whole = stack(x)
    last.build(x.shape)
    last.set_weights(stack.get_weights())
    padded = tf.pad(x, [[0, 0], [0, 5], [0, 0]], constant_values=7.0)
    mask = tf.sequence_mask([20, 12], 25)
    found = stack(padded, mask=mask)
    np.testing.assert_allclose(found[0, :20], whole[0], atol=2e-5)
    np.testing.assert_allclose(found[1, :12], stack(x[1:, :12])[0], atol=2e-5)
    np.testing.assert_allclose(last(padded, mask=mask)[1], last(x[1:, :12])[0], atol=2e-5)
    # Steps left out in the middle are as if they had never been.
    gaps = tf.constant([[True, False] * 10] * 2)
    np.testing.assert_allclose(stack(x, mask=gaps)[:, ::2], stack(x[:, ::2]), atol=2e-5)


@pytest.mark.parametrize("kind", OTHERS)
def test_it_sees_nothing_that_is_later(kind: str) -> None:
    stack = sequence_stack(kind, 8, 2, seed=2)
    x = drawn(steps=30)
    changed = tf.concat([x[:, :17], 5.0 - x[:, 17:]], 1)
    one, other = stack(x), stack(changed)
    np.testing.assert_allclose(one[:, :17], other[:, :17], atol=1e-5)
    assert np.abs(one[:, 17:] - other[:, 17:]).max() > 1e-2


@pytest.mark.parametrize("kind", OTHERS)
def test_seeds_and_files_give_the_same_numbers(kind: str, tmp_path: Path) -> None:
    about = {"bidirectional": True, "dropout": 0.3, "input_dropout": 0.2}
    one, other = (sequence_stack(kind, 6, 2, seed=3, **about) for _ in range(2))
    x = drawn(steps=9)
    np.testing.assert_array_equal(one(x, training=True), other(x, training=True))
    assert np.abs(one(x, training=True) - one(x)).max() > 1e-3
    ids = keras.Input((None, FEATURES), name="x")
    lengths = keras.Input((), dtype="int32", name="lengths")
    model = keras.Model([ids, lengths], one(ids, mask=LengthMask()(ids, lengths)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    given = [x, tf.constant([9, 4])]
    np.testing.assert_allclose(loaded(given), model(given), atol=1e-6)
    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(served.serve(given), model(given), atol=1e-5)


@pytest.mark.parametrize("kind", OTHERS)
def test_every_weight_learns_and_the_gradient_is_that_of_differences(kind: str) -> None:
    stack, x = sequence_stack(kind, 6, 2, seed=0), drawn(steps=12)
    stack.build(x.shape)

    def score() -> tf.Tensor:
        return tf.reduce_sum(tf.sin(stack(x)))

    with tf.GradientTape() as tape:
        value = score()
    gradients = tape.gradient(value, stack.trainable_weights)
    draw = np.random.default_rng(0)
    for weight, gradient in zip(stack.trainable_weights, gradients, strict=True):
        assert np.abs(gradient).max() > 0, weight.path
        way = draw.standard_normal(weight.shape).astype(np.float32)
        start, reach = weight.numpy(), 1e-2 / np.abs(way).max()
        slopes = []
        for sign in (1, -1):
            weight.assign(start + sign * reach * way)
            slopes.append(float(score()))
        weight.assign(start)
        expected = float(np.sum(way * gradient))
        assert (slopes[0] - slopes[1]) / (2 * reach) == pytest.approx(expected, rel=0.05, abs=0.02)


def test_linear_scan_and_its_gradient_are_those_of_the_loop() -> None:
    draw = np.random.default_rng(1)
    kept = tf.constant(draw.random((2, 37, 4)), tf.float64)
    added, first = (tf.constant(draw.standard_normal(s), tf.float64) for s in ((2, 37, 4), (2, 4)))

    def looped(kept: tf.Tensor, added: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        found, now = [], first
        for step in range(37):
            now = kept[:, step] * now + added[:, step]
            found.append(now)
        return tf.stack(found, 1)

    weights = tf.constant(draw.standard_normal((2, 37, 4)), tf.float64)
    gradients = []
    for of in (linear_scan, looped):
        with tf.GradientTape() as tape:
            tape.watch([kept, added, first])
            found = of(kept, added, first)
            score = tf.reduce_sum(found * weights)
        gradients.append([found, *tape.gradient(score, [kept, added, first])])
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_min_lstm_is_the_published_recurrence() -> None:
    layer, x = MinLSTM(3, seed=0), drawn(1, 10)
    found, _ = layer(x)
    gates, values = layer.gates(x).numpy()[0], layer.values(x).numpy()[0]
    now = np.zeros(3)
    for step in range(10):
        forget, let_in = sigmoid(gates[step, :3]), sigmoid(gates[step, 3:])
        now = forget / (forget + let_in) * now + let_in / (forget + let_in) * values[step]
        np.testing.assert_allclose(found[0, step], now, atol=1e-6)


def test_matrix_memory_is_the_published_recurrence_without_its_stabilisation() -> None:
    layer = MatrixMemory(4, seed=0, heads=2)
    x = drawn(1, 70, 4)
    found, _ = layer(x)
    queries, keys, values = (
        part[0] for part in layer.joined(x).numpy().reshape(1, 70, 3, 2, 2).transpose(2, 0, 1, 3, 4)
    )
    gates, opened = layer.gates(x).numpy()[0], layer.opened(x).numpy()[0]
    memory, sums = np.zeros((2, 2, 2)), np.zeros((2, 2))
    for step in range(70):
        said = []
        for head in range(2):
            let_in, forget = np.exp(gates[step, head]), sigmoid(gates[step, 2 + head])
            key = keys[step, head] / np.sqrt(2)
            memory[head] = forget * memory[head] + let_in * np.outer(values[step, head], key)
            sums[head] = forget * sums[head] + let_in * key
            below = max(abs(sums[head] @ queries[step, head]), 1.0)
            said.append(memory[head] @ queries[step, head] / below)
        expected = layer.output_layer((opened[step] * np.concatenate(said))[None])
        np.testing.assert_allclose(found[0, step], expected[0], atol=2e-5)


def test_state_space_is_its_recurrence_in_time() -> None:
    layer, x = DiagonalStateSpace(3, seed=0), drawn(1, 40)
    found, _ = layer(x)
    weights = {
        name: np.asarray(getattr(layer, name), np.float64)
        for name in (
            "log_step",
            "log_decay",
            "frequency",
            "output_real",
            "output_imaginary",
            "skip",
        )
    }
    rate = -np.exp(weights["log_decay"]) + 1j * weights["frequency"]
    left = np.exp(rate * np.exp(weights["log_step"]))
    output = (weights["output_real"] + 1j * weights["output_imaginary"]) * (left - 1) / rate
    state = np.zeros((3, 16), complex)
    for step in range(40):
        u = np.asarray(x[0, step], np.float64)
        state = left * state + u[:, None]
        seen = 2 * (output * state).sum(1).real + weights["skip"] * u
        mixed = np.asarray(layer.mixed(tf.nn.gelu(tf.constant(seen[None], tf.float32))))[0]
        np.testing.assert_allclose(found[0, step], mixed[:3] * sigmoid(mixed[3:]), atol=1e-4)


@pytest.mark.parametrize("window", [512, 4])
def test_attention_sees_its_window_and_weighs_by_distance_alone(window: int) -> None:
    layer = CausalAttention(8, seed=0, heads=2, window=window)
    x = drawn(1, 20, 8)
    found, _ = layer(x)
    queries, keys, values = np.moveaxis(layer.joined(x).numpy().reshape(20, 3, 2, 4), 1, 0)
    rates = 10_000.0 ** (-np.arange(2) / 2)
    for step in (0, 3, 19):
        heads = []
        for head in range(2):
            seen = [s for s in range(step + 1) if step - s <= window]
            # A query turned by the distance, against keys as they are.
            logits = []
            for s in seen:
                turn = np.exp(1j * rates * (step - s))
                query = (queries[step, head, :2] + 1j * queries[step, head, 2:]) * turn
                key = keys[s, head, :2] + 1j * keys[s, head, 2:]
                logits.append((query * key.conj()).real.sum() / 2)
            weight = np.exp(logits - np.max(logits))
            heads.append(weight / weight.sum() @ values[seen, head])
        expected = layer.output_layer(np.concatenate(heads)[None].astype(np.float32))
        np.testing.assert_allclose(found[0, step], expected[0], atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "keras_layer"),
    [(GatedRecurrentUnit, keras.layers.GRU), (SimpleRecurrence, keras.layers.SimpleRNN)],
)
def test_recurrent_layers_are_those_of_keras(ours: type, keras_layer: type) -> None:
    layer, x = ours(5, seed=0), drawn(2, 9)
    found, _ = layer(x)
    stock = keras_layer(5, return_sequences=True)
    stock.build(x.shape)
    stock.set_weights(layer.get_weights())
    np.testing.assert_allclose(found, stock(x), atol=1e-6)
