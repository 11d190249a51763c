"""Vectors of pieces of words, in a table that is read and written with."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("apps")
class PieceVectors(keras.layers.Layer):
    """Vectors of pieces, and the table that holds them, which a decoder reads and writes with too.

    Args:
        size: number of ids.
        width: of a vector.
        dropout: share of a vector's features dropped, one mask for all steps.
        word_dropout: share of the vectors dropped whole.
        seed: of weights and dropout.

    Call arguments:
        ids: `(batch, time)` int32.
        training: whether dropout applies.

    Returns:
        Vectors `(batch, time, width)`, and the table `(size, width)`.
    """

    def __init__(
        self,
        size: int,
        width: int,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.width, self.seed = size, width, seed
        self.dropout, self.word_dropout = dropout, word_dropout
        self.drop = keras.layers.Dropout(dropout, (None, 1, None), seed=seed, name="drop")
        self.word_drop = keras.layers.Dropout(
            word_dropout, (None, None, 1), seed=seed + 1, name="word_drop"
        )

    def build(self, shape: Any = None) -> None:
        start = keras.initializers.RandomNormal(stddev=self.width**-0.5, seed=self.seed)
        self.table = self.add_weight(
            shape=(self.size, self.width), initializer=start, name="embedding"
        )

    def call(self, ids: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        table = tf.convert_to_tensor(self.table)
        vectors = self.word_drop(read(table, ids), training=training)
        return self.drop(vectors, training=training), table

    def compute_output_spec(self, ids: Any, training: bool = False) -> Any:
        vectors = keras.KerasTensor((*ids.shape, self.width))
        return vectors, keras.KerasTensor((self.size, self.width))

    def get_config(self) -> dict[str, Any]:
        names = ("size", "width", "dropout", "word_dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def read(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Vectors whose features have about unit variance."""
    return tf.gather(table, ids) * table.shape[1] ** 0.5
