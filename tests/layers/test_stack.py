"""An LSTM stack equals its layers, run one after another."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers import LSTM, LSTMStack


@pytest.fixture
def steps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 12, 4)).astype("float32")


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_equals_keras_layers_one_after_another(both, sequences, steps) -> None:
    mask = tf.sequence_mask([12, 0, 7], 12)
    stack = LSTMStack([5, 6], bidirectional=both, return_sequences=sequences)
    got = stack(steps, mask=mask)
    weights, output = stack.get_weights(), steps
    per_layer = len(weights) // 2
    for level, units in enumerate(stack.units):
        layer = keras.layers.LSTM(units, return_sequences=sequences or level == 0)
        layer = keras.layers.Bidirectional(layer) if both else layer
        layer.build(output.shape)
        layer.set_weights(weights[level * per_layer : (level + 1) * per_layer])
        output = layer(output, mask=mask)
    np.testing.assert_allclose(got, output, atol=1e-6)


def test_stream_in_pieces_equals_the_whole(steps) -> None:
    stack = LSTMStack(5, depth=2, return_state=True)
    output, *final = stack(steps)
    states, pieces = stack.get_initial_state(3), []
    for chunk in np.split(steps, [1, 7], axis=1):
        piece, *states = stack(chunk, initial_state=states)
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces, 1), output, atol=1e-6)
    for got, expected in zip(states, final, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("rate", ["dropout", "input_dropout", "weight_dropout"])
def test_dropout_is_for_training_and_repeats_under_a_seed(rate: str, steps) -> None:
    options: dict = {rate: 0.5, "depth": 2, "seed": 3}
    first, second = LSTMStack(6, **options), LSTMStack(6, **options)
    first.build(steps.shape)
    second.build(steps.shape)
    second.set_weights(first.get_weights())
    in_training = first(steps, training=True)
    np.testing.assert_array_equal(in_training, second(steps, training=True))
    assert np.abs(in_training - first(steps)).max() > 1e-3
    np.testing.assert_array_equal(first(steps), second(steps))


def test_keras_file_and_trained_on_masks(steps, tmp_path: Path) -> None:
    steps[1, 5:] = 0
    stack = LSTMStack(5, depth=2, bidirectional=True, dropout=0.1, chrono=20, seed=1)
    layers = [keras.Input((None, 4)), keras.layers.Masking(), stack]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(steps, steps[..., :1], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(steps), model(steps))
    assert loaded.layers[-2].get_config() == stack.get_config()


def test_bidirectional_layers_equal_those_of_keras_bit_for_bit(steps) -> None:
    common: dict = {"weight_dropout": 0.2, "chrono": 20.0, "return_sequences": True}
    keras.utils.set_random_seed(5)
    stack = LSTMStack([5, 6], bidirectional=True, dropout=0.1, seed=1, **common)
    got = stack(steps, training=True)
    keras.utils.set_random_seed(5)
    first = keras.layers.Bidirectional(LSTM(5, seed=1, name="lstm_0", **common), name="both_0")
    second = keras.layers.Bidirectional(
        LSTM(6, seed=2, dropout=0.1, name="lstm_1", **common), name="both_1"
    )
    expected = second(first(steps, training=True), training=True)
    np.testing.assert_array_equal(got, expected)
    weights = first.weights + second.weights
    assert [weight.path for weight in stack.weights] == [
        f"{stack.name}/{weight.path}" for weight in weights
    ]
    for ours, theirs in zip(stack.weights, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(stack.layers, [first, second], strict=True):
        assert ours.get_config() == theirs.get_config()


def test_what_bidirectional_copies_lives_as_long_as_the_stack(monkeypatch) -> None:
    """While Keras loads a model, it takes a layer for an earlier one that had the same `id()`."""
    bidirectional, copied = keras.layers.Bidirectional, []

    def watched(layer, **options):
        copied.append(weakref.ref(layer))
        return bidirectional(layer, **options)

    monkeypatch.setattr(keras.layers, "Bidirectional", watched)
    stack = LSTMStack(4, depth=2, bidirectional=True)
    gc.collect()
    assert [layer() is None for layer in copied] == [False] * len(stack.layers)


def test_shapes_it_announces_are_those_it_gives(steps) -> None:
    for options in ({}, {"return_sequences": False}, {"bidirectional": True}):
        stack = LSTMStack([5, 6], **options)
        assert tuple(stack(steps).shape) == stack.compute_output_shape(steps.shape)
    stack = LSTMStack([5, 6], return_state=True)
    announced = stack.compute_output_shape(steps.shape)
    assert [tuple(value.shape) for value in stack(steps)] == list(announced)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({"units": [4, 5], "depth": 3}, "leave depth out"),
        ({"units": []}, "at least one layer"),
        ({"units": 4, "bidirectional": True, "return_state": True}, "bidirectional=False"),
    ],
)
def test_contradictions_are_refused(arguments: dict, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        LSTMStack(**arguments)


def test_states_that_do_not_fit_are_refused(steps) -> None:
    with pytest.raises(ValueError, match="4 tensors"):
        LSTMStack(5, depth=2)(steps, initial_state=[tf.zeros([3, 5])] * 2)
