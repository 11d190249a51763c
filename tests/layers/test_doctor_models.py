"""The doctor on models of all kinds: subclassed, never built, decorated, hand-written loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.doctor import diagnose_model

L = keras.layers


def sequence_model(*layers, batch=None):
    return keras.Sequential([keras.Input((None, 3), batch_size=batch), *layers])


class TwoTowers(keras.Model):
    """A subclassed model whose layers stand in a list and in a layer of its own."""

    def __init__(self):
        super().__init__()
        self.towers = [L.LSTM(2), L.LSTM(2, unroll=True)]
        self.head = sequence_model(L.GRU(2, name="gru"))

    def call(self, x):
        return self.towers[0](x) + self.towers[1](x) + self.head(x)


class Spare(TwoTowers):
    """A model whose call reaches only one of its layers."""

    def call(self, x):
        return self.towers[0](x)


class Strings(TwoTowers):
    """A model that takes inputs of a type that its build does not show."""

    def call(self, words):
        return self.towers[0](tf.strings.length(words)[..., None])


def test_layers_out_of_reach_are_traced_on_their_own():
    model = Spare()
    model(np.zeros((2, 3, 3), "float32"))
    reached, *others = diagnose_model(model)
    assert "on its own" not in reached.reason
    assert all("does not reach it" in diagnosis.reason for diagnosis in others)

    model = Strings()
    model(tf.constant([["a", "bc"]]))
    diagnoses = diagnose_model(model)
    assert [d.cudnn for d in diagnoses] == [True, False, True]
    assert all("cannot be traced" in diagnosis.reason for diagnosis in diagnoses)


class Decorated(keras.Model):
    """A model whose decorated functions keep their traces."""

    def __init__(self):
        super().__init__()
        self.lstm = L.LSTM(2)
        self.outer = tf.function(lambda x: self.inner(x))

    @tf.function
    def inner(self, x):
        return self.lstm(x)

    @tf.function
    def call(self, x):
        return self.outer(x)


@pytest.mark.parametrize("called", [True, False])
def test_functions_of_the_model_keep_nothing_of_the_trace(called):
    model, x = Decorated(), np.ones((2, 3, 3), "float32")
    if called:
        model(x)
    else:
        model.build((None, 3, 3))
    (diagnosis,) = diagnose_model(model)
    assert (diagnosis.gpu, diagnosis.cpu) == ("CudnnRNNV3", "while loop")
    np.testing.assert_allclose(model(x), model.lstm(x))


class Demanding(keras.layers.LSTMCell):
    """A cell whose layer cannot be called without its constants."""

    def call(self, inputs, states, training=False):
        raise KeyError("constants")


def test_a_layer_that_cannot_be_traced_is_said_to_be_unknown():
    model = keras.Sequential([L.RNN(Demanding(2)), L.LSTM(2)])
    unknown, known = diagnose_model(model)
    assert (unknown.gpu, unknown.cpu, unknown.cudnn) == ("unknown", "unknown", False)
    assert "not traced" in unknown.reason
    assert known.cudnn


@pytest.mark.parametrize("called", [True, False])
def test_subclassed_models_called_or_not(called):
    model = TwoTowers()
    if called:
        model(np.zeros((2, 3, 3), "float32"))
    diagnoses = diagnose_model(model)
    assert [d.cudnn for d in diagnoses] == [True, False, True]
    assert diagnoses[2].layer == f"{model.head.name}/gru"
    assert all(("on its own" in d.reason) != called for d in diagnoses)
    assert model.towers[0].built == called


def test_a_model_never_built_is_diagnosed_by_its_layers():
    model = keras.Sequential(
        [
            L.Masking(),
            L.LSTM(2, return_sequences=True, use_cudnn=False),
            L.GRU(2, stateful=True),
        ]
    )
    loop, fused = diagnose_model(model)
    assert (loop.cudnn, fused.cudnn) == (False, True)
    assert "use_cudnn=False" in loop.reason
    assert "Masking" in fused.remedy
    assert not model.built


class SumOverTime(keras.layers.RNN):
    """A recurrent layer in name only, without a recurrence."""

    def inner_loop(self, sequences, initial_state, mask, training=False):
        total = tf.cumsum(sequences[..., :2], axis=1)
        return total[:, -1], total, [total[:, -1]]


def test_a_layer_without_a_recurrence_is_not_called_a_loop():
    (diagnosis,) = diagnose_model(sequence_model(SumOverTime(L.SimpleRNNCell(2))))
    assert (diagnosis.gpu, diagnosis.cudnn) == ("plain operations", False)


@pytest.mark.parametrize("layer", [L.ConvLSTM1D(2, 3), L.ConvLSTM3D(2, 3, dilation_rate=2)])
def test_convolutional_layers_never_built(layer):
    (diagnosis,) = diagnose_model(keras.Sequential([layer]))
    assert (diagnosis.gpu, diagnosis.cudnn) == ("while loop", False)


class Leaky(keras.layers.Layer):
    """A recurrent layer independent of Keras's: a loop in plain TensorFlow."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

    def call(self, x):
        kernel = tf.convert_to_tensor(self.kernel)
        return tf.while_loop(
            lambda t, h: t < tf.shape(x)[1],
            lambda t, h: (t + 1, tf.tanh(h @ kernel + x[:, 0])),
            [0, tf.zeros_like(x[:, 0])],
        )[1]


class RunningMean(Leaky):
    """A loop that is not a recurrent layer: it has no product of its state."""

    def call(self, x):
        return tf.while_loop(
            lambda t, mean: t < tf.shape(x)[1],
            lambda t, mean: (t + 1, 0.9 * mean + x[:, 0] @ tf.convert_to_tensor(self.kernel)),
            [0, tf.zeros_like(x[:, 0])],
        )[1]


def test_loops_of_other_layers_count_if_they_are_recurrent():
    (diagnosis,) = diagnose_model(sequence_model(Leaky()))
    assert (diagnosis.kind, diagnosis.gpu, diagnosis.cudnn) == ("Leaky", "while loop", False)
    assert diagnose_model(sequence_model(RunningMean())) == []


def test_diagnosis_leaves_the_model_as_it_was():
    model = sequence_model(
        L.LSTM(2, dropout=0.5, return_sequences=True), L.GRU(2, stateful=True), batch=2
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    before = [layer.supports_jit for layer in model.layers]
    weights = [np.array(v) for v in model.variables]
    diagnose_model(model)
    assert [layer.supports_jit for layer in model.layers] == before
    for old, variable in zip(weights, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable)
    assert all("call" not in layer.__dict__ for layer in model.layers)
    model.compile(loss="mse", jit_compile=False)
    model.fit(x, np.zeros((2, 2)), verbose=0)
