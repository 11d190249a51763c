"""Logits to the log probabilities that the CTC loss and the decoders take."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers.ctc.tokens import IMPOSSIBLE
from apps.layers.outside import Outside


@keras.saving.register_keras_serializable("apps")
class Posteriors(keras.layers.Layer):
    """Log probabilities of tokens, with padded steps certain to be blank.

    Such a blank changes neither the loss nor the decoded tokens, so the outputs need no lengths
    beside them; `real_steps` recovers the lengths.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # An LSTM leaves a mask on its outputs; it repeats `lengths` and is ignored here.
        self.supports_masking = True

    def call(self, logits: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Normalise logits.

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
    """Number of real steps in each row of a `Posteriors` layer's outputs, `(batch,)` int32."""
    return tf.reduce_sum(tf.cast(outputs[..., 1] > IMPOSSIBLE / 2, tf.int32), 1)


@keras.saving.register_keras_serializable("apps")
class RealSteps(keras.layers.Layer):
    """`real_steps` as a layer: outputs `(batch, steps, tokens)` to steps `(batch,)` int32."""

    def call(self, outputs: tf.Tensor) -> tf.Tensor:
        return real_steps(outputs)

    def outside(self) -> Outside:
        """The lengths of the outputs."""
        return Outside("length: steps behind a recording's end are certain to be blank")

    def compute_output_spec(self, outputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(outputs.shape[:1], dtype="int32")
