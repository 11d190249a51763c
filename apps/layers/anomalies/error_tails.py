"""How rare errors are among those of rows that were seen in training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.anomalies.surprise import LARGEST, rarity
from apps.layers.untrained import Untrained


@keras.saving.register_keras_serializable("apps")
class ErrorTails(Untrained):
    """`rarity` of errors among those that were observed, which stay what they are when it serves.

    Args:
        channels: errors of a row.

    Call arguments:
        errors: `(batch, rows, channels)` float64, at least 0.
        known: likewise, bool: whether there is an error.
        otherwise: likewise, float32: what is returned as long as nothing was observed.

    Returns:
        `(batch, rows, channels)` float32, 0 where there is no error.
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, *shapes: Any) -> None:
        given: dict[str, Any] = {"initializer": "zeros", "trainable": False, "dtype": "float64"}
        self.count = self.add_weight(shape=(self.channels,), name="count", **given)
        self.largest = self.add_weight(shape=(self.channels, LARGEST), name="largest", **given)

    def call(
        self, errors: tf.Tensor, known: tf.Tensor, otherwise: tf.Tensor | None = None
    ) -> tf.Tensor:
        found = rarity(errors, self.count[...], self.largest[...])
        found = tf.cast(tf.where(known, found, tf.zeros_like(found)), tf.float32)
        if otherwise is None:
            return found
        return tf.where(tf.reduce_any(self.count[...] > 0), found, otherwise)

    def observe(self, errors: np.ndarray, known: np.ndarray) -> None:
        """Count errors and keep the largest ones; `(rows, channels)` each, as those of a call."""
        found = np.concatenate([self.largest.numpy(), np.where(known, errors, 0.0).T], 1)
        self.largest.assign(np.sort(found, 1)[:, : -LARGEST - 1 : -1])
        self.count.assign_add(known.sum(0).astype(np.float64))

    @property
    def seen(self) -> bool:
        """Whether there is anything to go by."""
        return bool(self.count.numpy().any())

    def compute_output_spec(self, errors: Any, known: Any, otherwise: Any = None) -> Any:
        return keras.KerasTensor(errors.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}
