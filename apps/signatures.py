"""The entry points of a SavedModel: what each is called with, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from apps.application import Application

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"


@dataclass(frozen=True)
class Signature:
    """One entry point.

    Attributes:
        inputs: the tensors that it takes, by name and in order.
        call: takes them in that order, gives answers by name.
        method: the kind of request that TensorFlow Serving sends here.
    """

    inputs: dict[str, tf.TensorSpec]
    call: Callable[..., dict[str, tf.Tensor]]
    method: str = PREDICT


def signatures_of(application: Application) -> dict[str, Signature]:
    """The entry points that every application has.

    Args:
        application: with its trained model.

    Returns:
        `serving_default` takes raw input and gives named answers; `tensors` takes prepared tensors
        with explicit lengths and gives the model's `outputs`; `step`, where the application reads
        streams, takes a chunk and the states and gives answers and the new states.
    """
    served, model = application.served(), application.model
    raw, prepared = _specs(application.raw_inputs().values()), _specs(model.inputs)

    def serve(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        return served(dict(zip(raw, values, strict=True)), training=False)

    def infer(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": model(dict(zip(prepared, values, strict=True)), training=False)}

    found = {"serving_default": Signature(raw, serve), "tensors": Signature(prepared, infer)}
    stream = application.stream_inputs()
    if stream:
        names = list(stream)
        found["step"] = Signature(
            {name: _named(name, spec) for name, spec in stream.items()},
            lambda *values: application.step(**dict(zip(names, values, strict=True))),
        )
    return found


def classify_signature(application: Application) -> Signature:
    """The entry point for `Classify` requests of an application that answers with a label.

    Args:
        application: one whose raw inputs are one value a row.

    Returns:
        It takes serialised `tf.Example` messages, `(batch,)` string, whose features have the names
        of the raw inputs, and gives `classes` string and `scores` float32, `(batch, classes)`.
    """
    served = application.served()
    features = {
        name: tf.io.FixedLenFeature(spec.shape[1:], spec.dtype)
        for name, spec in _specs(application.raw_inputs().values()).items()
    }

    def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        answers = served(tf.io.parse_example(inputs, features), training=False)
        return {"classes": answers["labels"], "scores": answers["probabilities"]}

    spec = tf.TensorSpec((None,), tf.string, name="inputs")
    return Signature({"inputs": spec}, classify, CLASSIFY)


def _specs(tensors: Any) -> dict[str, tf.TensorSpec]:
    return {tensor.name: _named(tensor.name, tensor) for tensor in tensors}


def _named(name: str, tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
