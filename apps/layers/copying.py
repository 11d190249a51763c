"""What unknown pieces of a translation stand for: the characters of the source that they copy."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers.outside import Outside
from apps.layers.token_layer import PAD, REPLACEMENT


@keras.saving.register_keras_serializable("apps")
class Copying(keras.layers.Layer):
    """Finds what stands for each unknown piece.

    Luong et al. 2015, "Addressing the rare word problem in neural machine translation": an unknown
    word is translated by what it is aligned with.

    Call arguments:
        found: what `AttentionDecoder` answers.
        given: what `Subwords` gives of the source: `ids`, `unknown`, `unknown_lengths`.

    Returns:
        `ids` and `replaced` `(batch, n_best, steps)`, for `Subwords`; and of the best answer, step
        by step, `target` and `target_replaced`, `source` and `source_replaced`
        `(batch, steps, 1)`, `weight` `(batch, steps)` and how many there are, `counts` `(batch,)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.supports_masking = True

    def call(self, found: dict[str, tf.Tensor], given: dict[str, tf.Tensor]) -> Any:
        pieces = tf.transpose(found["pieces"], [0, 2, 1])
        characters = self._characters(given)
        copied = tf.transpose(found["copied"], [0, 2, 1])
        replaced = tf.gather(characters, copied, batch_dims=1)
        places = found["places"][:, :, 0]
        best = pieces[:, 0]
        return {
            "ids": pieces,
            "replaced": replaced,
            "target": best[:, :, None],
            "target_replaced": replaced[:, 0, :, None],
            "source": tf.gather(given["ids"], places, batch_dims=1)[:, :, None],
            "source_replaced": tf.gather(characters, places, batch_dims=1)[:, :, None],
            "weight": found["weights"][:, :, 0],
            "counts": tf.reduce_sum(tf.cast(best != PAD, tf.int32), 1),
        }

    def _characters(self, given: dict[str, tf.Tensor]) -> tf.Tensor:
        """What each step of the source stands for if it is unknown, `(batch, source)` string."""
        batch, steps = tf.unstack(tf.shape(given["ids"], tf.int64))
        pairs = given["unknown"]
        there = tf.sequence_mask(given["unknown_lengths"], tf.shape(pairs)[1])
        rows = tf.broadcast_to(tf.range(batch)[:, None], tf.shape(there, tf.int64))
        at = tf.boolean_mask(rows * steps + tf.cast(pairs[:, :, 0], tf.int64), there)
        codes = tf.RaggedTensor.from_value_rowids(
            tf.boolean_mask(pairs[:, :, 1], there), at, batch * steps
        )
        texts = tf.reshape(tf.strings.unicode_encode(codes, "UTF-8"), [batch, steps])
        return tf.where(texts == "", REPLACEMENT, texts)

    def outside(self) -> Outside:
        """How answers become text."""
        return Outside(
            "ids to text: 'pieces' (rows, steps, answers) are joined; where one is the unknown id, "
            "the unknown characters of the source at the step 'copied' stand in its place"
        )

    def compute_mask(self, *given: Any, **named: Any) -> None:
        return None

    def compute_output_spec(self, found: Any, given: Any) -> dict[str, keras.KerasTensor]:
        batch, steps, best = found["pieces"].shape
        all_of_them, one = (batch, best, steps), (batch, steps, 1)
        shapes = {
            "ids": (all_of_them, "int32"),
            "replaced": (all_of_them, "string"),
            "target": (one, "int32"),
            "target_replaced": (one, "string"),
            "source": (one, "int32"),
            "source_replaced": (one, "string"),
            "weight": ((batch, steps), "float32"),
            "counts": ((batch,), "int32"),
        }
        return {n: keras.KerasTensor(shape, dtype=kind) for n, (shape, kind) in shapes.items()}
