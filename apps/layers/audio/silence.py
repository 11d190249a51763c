"""Silence after a recording, for layers that look ahead."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers.streaming import zero_beyond


@keras.saving.register_keras_serializable("apps")
class TrailingSilence(keras.layers.Layer):
    """Appends zeros to each row of a signal, so that a layer that looks ahead sees past its end.

    A stream's client sends the same zeros when the stream ends.

    Args:
        samples: number of zeros.

    Call arguments:
        audio: `(batch, samples)`.
        lengths: real samples of each row, `(batch,)` int32.

    Returns:
        The signal with the zeros appended, and the new lengths.
    """

    def __init__(self, samples: int, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.samples = samples

    def call(self, audio: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        signal = tf.pad(zero_beyond(audio, lengths), [[0, 0], [0, self.samples]])
        return signal, lengths + self.samples

    def compute_output_spec(self, audio: Any, lengths: Any) -> tuple[Any, Any]:
        batch, samples = audio.shape
        longer = None if samples is None else samples + self.samples
        samples_spec = keras.KerasTensor((batch, longer), audio.dtype)
        return samples_spec, keras.KerasTensor(lengths.shape, lengths.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "samples": self.samples}
