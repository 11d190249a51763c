"""A text that a language model goes on from, as it reads texts."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from apps.layers.token_layer import BEGIN, PAD


@keras.saving.register_keras_serializable("apps")
class Prompt(keras.layers.Layer):
    """Tokens with the begin before them, and each token's successor as its target.

    Call arguments:
        tokens: `ids` `(batch, time)` int32 and `lengths` `(batch,)` int32.

    Returns:
        `ids` and `target` `(batch, time + 1)` int32, and `lengths` `(batch,)` int32, one more than
        before; the last target of a row is padding.
    """

    def call(self, tokens: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        ids, lengths = tokens["ids"], tf.cast(tokens["lengths"], tf.int32)
        real = tf.sequence_mask(lengths, tf.shape(ids)[1])
        ids = tf.where(real, ids, PAD)
        return {
            "ids": tf.pad(ids, [[0, 0], [1, 0]], constant_values=BEGIN),
            "target": tf.pad(ids, [[0, 0], [0, 1]], constant_values=PAD),
            "lengths": lengths + 1,
        }

    def compute_output_spec(self, tokens: Mapping[str, keras.KerasTensor]) -> dict:
        batch = tokens["lengths"].shape[0]
        return {
            "ids": keras.KerasTensor((batch, None), dtype="int32"),
            "target": keras.KerasTensor((batch, None), dtype="int32"),
            "lengths": keras.KerasTensor((batch,), dtype="int32"),
        }

    def outside(self) -> None:
        """Nothing."""
