"""What networks of sensors say of each row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from apps.layers.stack import LSTMStack

# Of a Laplace distribution's scale: 90 % of it lie within so much on either side of the median.
BAND = math.log(10.0)
STATE = "state_"
_SCORES = {
    "surprise": "float32",
    "known": "bool",
    **dict.fromkeys(("error", "expected", "low", "high"), "float64"),
}


def unscored(values: tf.Tensor) -> dict[str, tf.Tensor]:
    """The outputs that training does not need, nothing in them, `(batch, rows, channels)`."""
    return {name: tf.zeros_like(values, kind) for name, kind in _SCORES.items()}


def output_specs(series: Any, distances: int) -> dict[str, Any]:
    """Shapes and types of all outputs but the states.

    Args:
        series: `(batch, rows, channels)`.
        distances: rows that each row says something of.
    """
    batch, rows, channels = series.shape
    said = (batch, rows, distances, channels)
    kinds = {**_SCORES, "shift": "float64", "scale": "float64"}
    found = {name: keras.KerasTensor(said, dtype="float32") for name in ("middle", "spread")}
    return found | {n: keras.KerasTensor(series.shape, dtype=kind) for n, kind in kinds.items()}


def stream_specs(shapes: Mapping[str, tuple[int, ...]], stack: LSTMStack) -> dict[str, Any]:
    """Specs of a network's own states and of those of its LSTMs by name, `(batch, …)`.

    Args:
        shapes: of its own, float64, without the batch.
        stack: the LSTMs.
    """
    found = {f"{STATE}{n}": tf.TensorSpec((None, *s), tf.float64) for n, s in shapes.items()}
    for name, (shape, dtype) in stack.state_specs().items():
        found[f"{STATE}{name}"] = tf.TensorSpec((None, *shape), dtype)
    return found


def state_outputs(states: Any) -> dict[str, Any]:
    """Shapes and types of the next states by name, which are those of the states."""
    return {n: keras.KerasTensor(one.shape, dtype=one.dtype) for n, one in states.items()}
