"""Level normalisation of spectrograms, whole or as a stream."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from apps.layers.streaming import StreamWindows, zero_beyond

State = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable("apps")
class LevelNormalization(keras.layers.Layer):
    """Log-mel features relative to the loudest of the last frames.

    A causal automatic gain control. The level of a frame is the logarithm of the mean power of its
    bands; the highest level of the `window` frames that end with a frame is subtracted from all its
    bands. Distance from the microphone and amplification shift all levels equally and so cancel,
    within the dynamic range above the floor.

    Args:
        window: number of frames of which the loudest counts.
        floor: least power that a band can have, the `floor` of `LogMel`; frames before the first
            count as that quiet.
        **kwargs: arguments of `keras.layers.Layer`; `dtype` is float32 by default.

    Call arguments:
        features: logarithms of band powers, `(batch, frames, bands)`.
        lengths: real frames of each row, `(batch,)` int32.

    Returns:
        Features of the same shape, zeros beyond a row's frames.

    Raises:
        ValueError: `window` is less than 1, or `floor` is not positive.
    """

    def __init__(self, window: int, *, floor: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if window < 1 or floor <= 0:
            raise ValueError(f"window {window} must be at least 1 and floor {floor} more than 0")
        self.window = window
        self.floor = floor
        self._windows = StreamWindows(window, 1, lead=window - 1)

    def call(self, features: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        signal, _ = self._windows.whole(self._levels(features), lengths)
        return self._relative(features, signal, lengths)

    def _levels(self, features: tf.Tensor) -> tf.Tensor:
        """Levels above the floor, `(batch, frames, 1)`: never negative, and 0 for silence."""
        power = tf.reduce_mean(tf.exp(features - math.log(self.floor)), -1, keepdims=True)
        return tf.math.log(tf.maximum(power, 1.0))

    def _relative(self, features: tf.Tensor, signal: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        loudest = tf.nn.max_pool1d(signal, self.window, 1, "VALID")
        # A stream's signal covers the longest row and at least one frame, unlike `features`.
        features = tf.pad(features, [[0, 0], [0, 1], [0, 0]])[:, : tf.shape(loudest)[1]]
        loudest = loudest[:, : tf.shape(features)[1]]
        return zero_beyond(features - math.log(self.floor) - loudest, lengths)

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries."""
        shapes = self._windows.state_shapes(1)
        return {"buffer": (shapes["buffer"], "float32"), "count": (shapes["count"], "int32")}

    def step(
        self, features: tf.Tensor, lengths: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Normalise the next frames of a stream.

        Args:
            features: `(batch, frames, bands)`; frames may be 0.
            lengths: real frames of each row, `(batch,)`.
            state: tensors as `state_specs` lists them, zeros at the start of a stream.

        Returns:
            Features, lengths, and the state for the next frames.
        """
        signal, _, buffer, count = self._windows.push(
            self._levels(features), lengths, state["buffer"], state["count"]
        )
        after = {"buffer": buffer, "count": count}
        return self._relative(features, signal, lengths), lengths, after

    def compute_output_spec(self, features: Any, lengths: Any) -> keras.KerasTensor:
        return keras.KerasTensor(features.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window, "floor": self.floor}
