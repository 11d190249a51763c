"""What networks of sensors say of each row."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

# Of a Laplace distribution's scale: 90 % of it lie within so much on either side of the median.
BAND = math.log(10.0)
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


def state_outputs(states: Any) -> dict[str, Any]:
    """Shapes and types of the next states by name, which are those of the states."""
    return {n: keras.KerasTensor(one.shape, dtype=one.dtype) for n, one in states.items()}
