"""Pooling of a sequence of states into one vector, without its padding."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("apps")
class MeanPooling(keras.layers.Layer):
    """Mean over real steps, `(batch, time, features)` to `(batch, features)`; 0 without a step."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, states: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        if mask is None:
            return tf.reduce_mean(states, 1)
        real = tf.expand_dims(tf.cast(mask, states.dtype), -1)
        return tf.reduce_sum(states * real, 1) / tf.maximum(tf.reduce_sum(real, 1), 1)

    def compute_mask(self, states: Any, mask: Any = None) -> None:
        return None

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], shape[2])


@keras.saving.register_keras_serializable("apps")
class MaxMeanPooling(MeanPooling):
    """Maximum and mean over real steps, `(batch, time, features)` to `(batch, 2 · features)`.

    Max-pooling over all states of a bidirectional LSTM: Johnson & Zhang 2016, "Supervised and
    semi-supervised text categorization using LSTM for region embeddings", section 2.
    """

    def call(self, states: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        mean = super().call(states, mask)
        if mask is None:
            return tf.concat([tf.reduce_max(states, 1), mean], -1)
        real = tf.expand_dims(tf.cast(mask, states.dtype), -1)
        largest = tf.reduce_max(states + (1 - real) * states.dtype.min / 2, 1)
        # Without a step the maximum would be the lowest number of the dtype.
        largest = tf.where(tf.reduce_any(real > 0, 1), largest, tf.zeros([], states.dtype))
        return tf.concat([largest, mean], -1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], 2 * shape[2] if shape[2] is not None else None)


@keras.saving.register_keras_serializable("apps")
class LengthMask(keras.layers.Layer):
    """Mask of real steps `(batch, time)` bool, from ids `(batch, time)` and lengths `(batch,)`."""

    def call(self, ids: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return tf.sequence_mask(lengths, tf.shape(ids)[1])

    def compute_output_spec(self, ids: Any, lengths: Any) -> keras.KerasTensor:
        return keras.KerasTensor(ids.shape[:2], dtype="bool")
