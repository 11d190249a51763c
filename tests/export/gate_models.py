"""Small SavedModels for the gate: good ones, and each kind of trap."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from apps.export.golden import WARM_UP, record, request, write_records
from apps.layers import LSTM

WORDS = ["good film", "", "a film that I would not see again", "näïve 👍"]
LABELS = ["negative", "positive"]


class Classifier(tf.Module):
    """Texts to labels and probabilities, through one LSTM over their letters."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = LSTM(4)
        self.layer.build((None, None, 3))
        self.layer_weights = [weight.value for weight in self.layer.weights]
        seeded = np.random.default_rng(1)
        self.letters = tf.Variable(seeded.normal(size=(32, 3)).astype("float32"))
        self.top = tf.Variable(seeded.normal(size=(4, 2)).astype("float32") * 4)

    def probabilities(self, steps: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self.layer(steps) @ self.top)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def texts(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        letters = tf.strings.unicode_decode(text, "UTF-8").to_tensor(shape=[None, None])
        steps = tf.gather(self.letters, tf.pad(letters, [[0, 0], [0, 1]]) % 32)
        probabilities = self.probabilities(steps)
        label = tf.gather(tf.constant(LABELS), tf.argmax(probabilities, axis=1))
        return {"label": label, "probabilities": probabilities}

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], name="steps")])
    def tensors(self, steps: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self.probabilities(steps)}


def export_classifier(folder: Path) -> Path:
    """A good version whose warm-up holds `WORDS` and what the model answered."""
    module = Classifier()
    signatures = {"serving_default": module.texts, "tensors": module.tensors}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    texts = np.array([word.encode() for word in WORDS], dtype=object)
    answers = {name: value.numpy() for name, value in module.texts(tf.constant(texts)).items()}
    asked = request("toy", "serving_default", {"text": texts})
    write_records(folder / WARM_UP, [record(asked, answers)])
    return folder


def export_pair(folder: Path, unused: bool = False, constant: bool = False) -> Path:
    """A kernel for CPUs and its equal for GPUs, called in a way that may lose one of them.

    The optimiser specialises a call of which outputs are unused or arguments constant, and then no
    longer exchanges the functions. On a CPU, whose kernel is the one called, nothing is amiss.
    """

    def cpu(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, weights: tf.Tensor) -> tuple:
        steps = tf.shape(x, tf.int64)[0]
        none, bias = tf.zeros([2]), tf.zeros([8])
        out = tf.raw_ops.BlockLSTMV2(
            seq_len_max=steps,
            x=x,
            cs_prev=c,
            h_prev=h,
            w=weights,
            wci=none,
            wcf=none,
            wco=none,
            b=bias,
        )
        return out.h, out.h[-1], out.cs[-1]

    def gpu(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, weights: tf.Tensor) -> tuple:
        out = tf.raw_ops.CudnnRNNV3(
            input=x,
            input_h=h[None],
            input_c=c[None],
            params=tf.concat([tf.reshape(tf.transpose(weights), [-1]), tf.zeros([16])], 0),
            sequence_lengths=tf.fill([tf.shape(x)[1]], tf.shape(x)[0]),
        )
        return out.output, out.output_h[0], out.output_c[0]

    def implementation(function: Any, device: str) -> Any:
        attributes = {"api_implements": "pair", "api_preferred_device": device}
        return tf.function(function, autograph=False, experimental_attributes=attributes)

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        state = tf.zeros([2, 2]) if constant else x[0, :, :2]
        arguments = (x, state, state, tf.reshape(tf.range(40.0), [5, 8]) * x[0, 0, 0])
        outputs = implementation(cpu, "CPU")(*arguments)
        implementation(gpu, "GPU").get_concrete_function(*arguments).add_to_graph()
        return {str(index): outputs[index] for index in range(1 if unused else 3)}

    return export_function(folder, call, tf.TensorSpec([None, 2, 3], name="x"))


def export_stock(folder: Path, gpu: bool) -> Path:
    """Keras's own LSTM, as traced on a host with or without a GPU."""
    recurrent: Any = importlib.import_module("keras.src.backend.tensorflow.rnn")
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4)])
    with mock.patch.object(recurrent, "_is_gpu_available", return_value=gpu):
        model.export(str(folder), verbose=False)
    return folder


def export_function(folder: Path, function: Any, *inputs: tf.TensorSpec) -> Path:
    """A version that is one function, without variables."""
    module = tf.Module()
    module.function = tf.function(function, input_signature=inputs)
    tf.saved_model.save(module, str(folder), signatures=module.function)
    return folder


def crash(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """Ends the process: more steps are announced than there are, which a kernel does not check."""
    state, peephole = tf.zeros([1, 2]), tf.zeros([2])
    out = tf.raw_ops.BlockLSTMV2(
        seq_len_max=tf.cast(tf.shape(x)[0], tf.int64) + 5,
        x=x,
        cs_prev=state,
        h_prev=state,
        w=tf.ones([5, 8]),
        wci=peephole,
        wcf=peephole,
        wco=peephole,
        b=tf.zeros([8]),
    )
    return {"h": out.h}
