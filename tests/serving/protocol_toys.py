"""SavedModels that the protocol tests talk to: echoes, types, classify and regress."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from toy_models import wait_for

METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}
TYPES = {
    "half": tf.half,
    "double": tf.float64,
    "byte": tf.uint8,
    "long": tf.int64,
    "unsigned": tf.uint64,
    "flag": tf.bool,
}

_X = tf.io.FixedLenFeature([], tf.float32)
_examples = tf.TensorSpec([None], tf.string, name="inputs")


class Protocols(tf.Module):
    """One signature for each thing that a protocol must carry."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text": text, "raw_bytes": text, "length": tf.strings.length(text)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
    def negate(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": -x}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32, name="ids"),
            tf.TensorSpec([None], tf.int32, name="lengths"),
        ]
    )
    def count(self, ids: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"total": tf.reduce_sum(ids, axis=1) + lengths}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="file")])
    def wait(self, file: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"found": tf.fill(tf.shape(file), wait_for(file))}

    @tf.function(input_signature=[tf.TensorSpec([], dtype, name) for name, dtype in TYPES.items()])
    def types(
        self,
        half: tf.Tensor,
        double: tf.Tensor,
        byte: tf.Tensor,
        long: tf.Tensor,
        unsigned: tf.Tensor,
        flag: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        given = zip(TYPES, (half, double, byte, long, unsigned, flag), strict=True)
        return {f"{name}_out": tf.identity(value) for name, value in given}

    @tf.function(input_signature=[_examples])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.io.parse_example(inputs, {"x": _X})["x"]
        labels = tf.tile([["low", "high"]], [tf.size(x), 1])
        return {"classes": labels, "scores": tf.stack([-x, x], axis=1)}

    @tf.function(input_signature=[_examples])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        features = tf.io.parse_example(
            inputs, {"x": _X, "scale": tf.io.FixedLenFeature([], tf.float32, 1.0)}
        )
        return {"outputs": features["x"] * features["scale"]}


def save(folder: Path) -> Path:
    """Write the model with the method names that Classify and Regress ask for."""
    module = Protocols()
    signatures: dict[str, Callable[..., object]] = {
        "serving_default": module.echo,
        "negate": module.negate,
        "count": module.count,
        "wait": module.wait,
        "types": module.types,
        "classify": module.classify,
        "regress": module.regress,
    }
    tf.saved_model.save(module, os.fspath(folder), signatures=signatures)
    file = folder / "saved_model.pb"
    graph = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for name, method in METHODS.items():
        graph.meta_graphs[0].signature_def[name].method_name = method
    file.write_bytes(graph.SerializeToString())
    return folder


def example(**features: float) -> tf.train.Example:
    """A `tf.Example` of numbers."""
    message = tf.train.Example()
    for name, value in features.items():
        message.features.feature[name].float_list.value.append(value)
    return message
