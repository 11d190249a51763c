"""Logits to what a CTC loss and every decoder take."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

# The logarithm of no probability, small enough for sums of thousands to stay in float32.
IMPOSSIBLE = -1e9


@keras.saving.register_keras_serializable("apps")
class Posteriors(keras.layers.Layer):
    """Log-probabilities of tokens, padded steps certain to be blank.

    A blank where nothing was heard changes neither the loss nor what is decoded, so that the
    lengths need not travel beside the outputs. `real_steps` finds them again.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A mask that an LSTM leaves on its outputs says what lengths say.
        self.supports_masking = True

    def call(self, logits: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Normalise.

        Args:
            logits: `(batch, steps, tokens)`, the blank first.
            lengths: real steps of each row, `(batch,)` int32.

        Returns:
            `(batch, steps, tokens)` float32.
        """
        scores = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        blank = tf.one_hot(0, logits.shape[-1], 0.0, IMPOSSIBLE)
        real = tf.sequence_mask(lengths, tf.shape(scores)[1])[..., None]
        return tf.where(real, scores, blank)

    def compute_mask(self, logits: Any, mask: Any = None) -> None:
        return None

    def compute_output_spec(self, logits: Any, lengths: Any) -> keras.KerasTensor:
        return keras.KerasTensor(logits.shape, dtype="float32")


def real_steps(outputs: tf.Tensor) -> tf.Tensor:
    """Steps of each row of a `Posteriors` layer's outputs that are no padding, `(batch,)` int32."""
    return tf.reduce_sum(tf.cast(outputs[..., 1] > IMPOSSIBLE / 2, tf.int32), 1)


@keras.saving.register_keras_serializable("apps")
class RealSteps(keras.layers.Layer):
    """`real_steps` as a layer: outputs `(batch, steps, tokens)` to steps `(batch,)` int32."""

    def call(self, outputs: tf.Tensor) -> tf.Tensor:
        return real_steps(outputs)

    def compute_output_spec(self, outputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(outputs.shape[:1], dtype="int32")
