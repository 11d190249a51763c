"""The doctor's verdicts on live models, compared with traces as on a GPU host."""

import dataclasses
import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers import LSTM
from apps.layers.doctor import Diagnosis, diagnose_model, render

L = keras.layers


def sequence_model(*layers, steps=None, batch=None):
    return keras.Sequential([keras.Input((steps, 3), batch_size=batch), *layers])


def traced_operations(model, monkeypatch, gpu):
    """Types of all operations, functions included, that a host traces for a call in training."""
    recurrent = importlib.import_module("keras.src.backend.tensorflow.rnn")
    monkeypatch.setattr(recurrent, "_is_gpu_available", lambda: gpu)
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in model.inputs]
    specs = specs[0] if len(specs) == 1 else specs
    function = tf.function(lambda x: model(x, training=True), autograph=False)
    graph = function.get_concrete_function(specs).graph.as_graph_def()
    monkeypatch.undo()
    types = {node.op for node in graph.node}
    return types.union(node.op for f in graph.library.function for node in f.node_def)


def masked(layer):
    return keras.Sequential(
        [keras.Input((None,), dtype="int32"), L.Embedding(5, 3, mask_zero=True), layer]
    )


def with_given_states():
    x, h, c = keras.Input((None, 3)), keras.Input((2,)), keras.Input((2,))
    return keras.Model([x, h, c], L.LSTM(2)(x, initial_state=[h, c]))


# Model, expected kind, and the argument that the reason must name ("" on cuDNN).
CASES = {
    "lstm": (lambda: sequence_model(L.LSTM(2)), "LSTM", ""),
    "lstm all outputs": (
        lambda: sequence_model(L.LSTM(2, return_sequences=True, dropout=0.5)),
        "LSTM",
        "",
    ),
    "lstm backwards": (lambda: sequence_model(L.LSTM(2, go_backwards=True)), "LSTM", ""),
    "lstm stateful": (lambda: sequence_model(L.LSTM(2, stateful=True), batch=2), "LSTM", ""),
    "lstm tanh of TensorFlow": (lambda: sequence_model(L.LSTM(2, activation=tf.tanh)), "LSTM", ""),
    "lstm tanh of Keras": (
        lambda: sequence_model(L.LSTM(2, activation=keras.ops.tanh)),
        "LSTM",
        "",
    ),
    "lstm given states": (with_given_states, "LSTM", ""),
    "lstm float16": (lambda: sequence_model(L.LSTM(2, dtype="mixed_float16")), "LSTM", ""),
    "lstm bfloat16": (lambda: sequence_model(L.LSTM(2, dtype="mixed_bfloat16")), "LSTM", ""),
    "lstm float64": (lambda: sequence_model(L.LSTM(2, dtype="float64")), "LSTM", ""),
    "lstm embedding mask": (lambda: masked(L.LSTM(2)), "LSTM", ""),
    "lstm masking": (lambda: sequence_model(L.Masking(), L.LSTM(2)), "LSTM", ""),
    "lstm relu": (
        lambda: sequence_model(L.LSTM(2, activation="relu")),
        "LSTM",
        "activation=relu",
    ),
    "lstm hard sigmoid": (
        lambda: sequence_model(L.LSTM(2, recurrent_activation="hard_sigmoid")),
        "LSTM",
        "recurrent_activation=hard_sigmoid",
    ),
    "lstm no bias": (
        lambda: sequence_model(L.LSTM(2, use_bias=False)),
        "LSTM",
        "use_bias=False",
    ),
    "lstm unrolled": (
        lambda: sequence_model(L.LSTM(2, unroll=True), steps=3),
        "LSTM",
        "unroll=True",
    ),
    "lstm recurrent dropout": (
        lambda: sequence_model(L.LSTM(2, recurrent_dropout=0.3)),
        "LSTM",
        "recurrent_dropout=0.3",
    ),
    "lstm no cudnn": (
        lambda: sequence_model(L.LSTM(2, use_cudnn=False)),
        "LSTM",
        "use_cudnn=False",
    ),
    "gru": (lambda: sequence_model(L.GRU(2)), "GRU", ""),
    "gru mask backwards": (lambda: masked(L.GRU(2, go_backwards=True)), "GRU", ""),
    "gru reset before": (
        lambda: sequence_model(L.GRU(2, reset_after=False)),
        "GRU",
        "reset_after=False",
    ),
    "gru relu": (lambda: sequence_model(L.GRU(2, activation="relu")), "GRU", "activation=relu"),
    "gru recurrent dropout": (
        lambda: sequence_model(L.GRU(2, recurrent_dropout=0.3)),
        "GRU",
        "recurrent_dropout=0.3",
    ),
    "gru no bias": (lambda: sequence_model(L.GRU(2, use_bias=False)), "GRU", "use_bias=False"),
    "simple": (lambda: sequence_model(L.SimpleRNN(2)), "SimpleRNN", "SimpleRNN"),
    "wrapped cell": (lambda: sequence_model(L.RNN(L.LSTMCell(2))), "RNN(LSTMCell)", "its cell"),
    "stacked cells": (
        lambda: sequence_model(L.RNN([L.GRUCell(2), L.GRUCell(3)])),
        "RNN(GRUCell > GRUCell)",
        "its cell",
    ),
    "convolutional": (
        lambda: keras.Sequential([keras.Input((4, 5, 5, 1)), L.ConvLSTM2D(2, 3)]),
        "ConvLSTM2D",
        "convolutional",
    ),
    "bidirectional lstm": (
        lambda: sequence_model(L.Bidirectional(L.LSTM(2))),
        "Bidirectional(LSTM)",
        "",
    ),
    "bidirectional masked gru": (
        lambda: masked(L.Bidirectional(L.GRU(2, return_sequences=True))),
        "Bidirectional(GRU)",
        "",
    ),
    "bidirectional no bias": (
        lambda: sequence_model(L.Bidirectional(L.LSTM(2, use_bias=False))),
        "Bidirectional(LSTM)",
        "use_bias=False",
    ),
    "for each of four": (
        lambda: keras.Sequential([keras.Input((4, None, 3)), L.TimeDistributed(L.LSTM(2))]),
        "LSTM",
        "",
    ),
    "for each of any number": (
        lambda: keras.Sequential([keras.Input((None, 6, 3)), L.TimeDistributed(L.LSTM(2))]),
        "LSTM",
        "",
    ),
    "nested": (lambda: sequence_model(sequence_model(L.GRU(2))), "GRU", ""),
    "ours": (lambda: sequence_model(LSTM(2, dropout=0.2, weight_dropout=0.3)), "LSTM", ""),
    "ours masked": (lambda: masked(LSTM(2)), "LSTM", ""),
    "ours no cudnn": (
        lambda: sequence_model(LSTM(2, use_cudnn=False)),
        "LSTM",
        "use_cudnn=False",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_verdict_is_what_tracing_shows(case, monkeypatch):
    make, kind, unmet = CASES[case]
    model = make()
    (diagnosis,) = diagnose_model(model)

    on_gpu = traced_operations(model, monkeypatch, gpu=True)
    on_cpu = traced_operations(model, monkeypatch, gpu=False)
    assert diagnosis.cudnn == ("CudnnRNNV3" in on_gpu) == (diagnosis.gpu == "CudnnRNNV3")
    assert diagnosis.cudnn == (not unmet)
    assert diagnosis.kind == kind
    if diagnosis.cpu == "BlockLSTMV2":
        assert diagnosis.cpu in on_cpu
    else:
        assert "CudnnRNNV3" not in on_cpu
        assert diagnosis.cpu == ("while loop" if "While" in on_cpu else "unrolled steps")
    assert unmet in diagnosis.reason
    if not diagnosis.cudnn:
        assert diagnosis.remedy
        assert diagnosis.gpu == diagnosis.cpu


@pytest.mark.parametrize(
    ("kind", "arguments", "remedy"),
    [
        (L.LSTM, {"recurrent_dropout": 0.3}, "dropout="),
        (L.LSTM, {"activation": "relu", "use_bias": False}, "activation='tanh'; use_bias=True"),
        (L.LSTM, {"recurrent_activation": "relu"}, "recurrent_activation='sigmoid'"),
        (L.GRU, {"reset_after": False, "unroll": True}, "unroll=False; reset_after=True"),
        (L.GRU, {"use_cudnn": False}, "leave use_cudnn out"),
    ],
)
def test_the_remedy_leads_to_cudnn(kind, arguments, remedy):
    (before,) = diagnose_model(sequence_model(kind(2, **arguments), steps=4))
    assert not before.cudnn
    assert remedy in before.remedy
    for argument in arguments:
        assert argument in before.reason
    (after,) = diagnose_model(sequence_model(kind(2), steps=4))
    assert after.cudnn
    assert after.remedy == ""


def test_cudnn_demanded_is_refused_on_a_cpu(monkeypatch):
    model = sequence_model(L.LSTM(2, use_cudnn=True), L.Dense(1))
    (diagnosis,) = diagnose_model(model)
    assert (diagnosis.gpu, diagnosis.cpu, diagnosis.cudnn) == ("CudnnRNNV3", "refused", True)
    assert diagnosis.remedy == "use_cudnn='auto'"
    assert model.layers[0].use_cudnn is True
    with pytest.raises(ValueError, match="cuDNN is not supported"):
        traced_operations(model, monkeypatch, gpu=False)


def test_cudnn_demanded_of_what_it_cannot_do_is_refused_everywhere(monkeypatch):
    model = sequence_model(L.GRU(2, use_cudnn=True, use_bias=False))
    (diagnosis,) = diagnose_model(model)
    assert (diagnosis.gpu, diagnosis.cpu, diagnosis.cudnn) == ("refused", "refused", False)
    assert diagnosis.remedy == "use_bias=True"
    with pytest.raises(ValueError, match="cuDNN is not supported"):
        traced_operations(model, monkeypatch, gpu=True)


def test_a_mask_on_stock_cudnn_is_a_risk_and_on_ours_is_none(monkeypatch):
    stock, ours = masked(L.LSTM(2)), masked(LSTM(2))
    assert "Assert" in traced_operations(stock, monkeypatch, gpu=True)
    assert "Assert" not in traced_operations(ours, monkeypatch, gpu=True)

    (diagnosis,) = diagnose_model(stock)
    assert "empty or padded on the left" in diagnosis.reason
    assert f"Embedding '{stock.layers[0].name}'" in diagnosis.remedy
    (diagnosis,) = diagnose_model(ours)
    assert diagnosis.remedy == ""
    assert "both kernels" in diagnosis.reason


def test_stock_cudnn_stops_at_just_the_masks_that_are_warned_of():
    recurrent = importlib.import_module("keras.src.backend.tensorflow.rnn")

    @tf.function(autograph=False)
    def check(mask):
        recurrent._assert_valid_mask(mask)
        return tf.constant(True)

    check(tf.constant([[True, True, False], [True, True, True]]))
    for row in ([False, False, False], [False, True, True]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="right-padded"):
            check(tf.constant([[True, True, False], row]))


def test_a_wrapped_cell_has_the_weights_of_the_layer_it_is_to_give_way_to():
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    for cell, layer in ((L.LSTMCell(2), L.LSTM(2)), (L.GRUCell(2), L.GRU(2))):
        wrapped = sequence_model(L.RNN(cell))
        (diagnosis,) = diagnose_model(wrapped)
        assert f"keras.layers.{type(layer).__name__}(2)" in diagnosis.remedy
        fused = sequence_model(layer)
        fused.set_weights(wrapped.get_weights())
        np.testing.assert_allclose(fused(x), wrapped(x), atol=1e-6)


def test_inputs_by_name_and_a_layer_used_twice():
    shared = L.LSTM(2)
    inputs = {
        "left": keras.Input((None, 3), name="left"),
        "right": keras.Input((None, 3), name="right"),
    }
    model = keras.Model(inputs, shared(inputs["left"]) + shared(inputs["right"]))
    (diagnosis,) = diagnose_model(model)
    assert (diagnosis.layer, diagnosis.gpu) == (shared.name, "CudnnRNNV3")


def test_directions_that_differ_stay_apart():
    layer = L.Bidirectional(
        L.LSTM(2), backward_layer=L.LSTM(2, go_backwards=True, activation="relu")
    )
    forward, backward = diagnose_model(sequence_model(layer))
    assert forward.kind == backward.kind == "Bidirectional(LSTM)"
    assert (forward.cudnn, backward.cudnn) == (True, False)
    assert forward.layer == f"{layer.name}/{layer.forward_layer.name}"


def test_render_and_json():
    assert render(diagnose_model(sequence_model(L.Dense(2)))) == "There is no recurrent layer."
    diagnosis = Diagnosis("a/lstm", "LSTM", "while loop", "while loop", False, "slow", "mend it")
    text = render([diagnosis, dataclasses.replace(diagnosis, layer="b", cudnn=True, remedy="")])
    assert text.count("why: slow") == 2
    assert text.count("fix: mend it") == 1
    assert text.endswith("1 of 2 recurrent layers on cuDNN.")
    assert json.loads(json.dumps(diagnosis.to_dict())) == dataclasses.asdict(diagnosis)
