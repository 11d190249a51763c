"""Scores of tags from a word and its neighbours alone, by a linear model of hashed features."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Multipliers of Knuth's multiplicative hash, and of the mixing of several values; both wrap.
_SPREAD, _MIX = -1640531535, 263
_PREFIXES, _SUFFIXES = 3, 4


@keras.saving.register_keras_serializable("apps")
class LocalScores(keras.layers.Layer):
    """The sum of one row of a table for each feature of a token (the hashing trick).

    Features are the words and the case of the token and of its neighbours, pairs of them, and the
    first and last letters of the token (Weinberger et al. 2009, "Feature hashing for large scale
    multitask learning").

    Args:
        size: rows of the table.
        tags: columns of the table.
        rare_from: ids from here on count as unknown words.
        unknown: id of the unknown word.
        window: neighbours on each side.
    """

    def __init__(
        self, size: int, tags: int, rare_from: int, unknown: int, window: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.size, self.tags, self.window = size, tags, window
        self.rare_from, self.unknown = rare_from, unknown
        self.table = self.add_weight(shape=(size, tags), initializer="zeros", name="table")
        self.bias = self.add_weight(shape=(tags,), initializer="zeros", name="bias")

    def features(self, ids: tf.Tensor, characters: tf.Tensor, casing: tf.Tensor) -> tf.Tensor:
        """Rows of the table for each token, `(batch, time, features)` int32.

        Args:
            ids, casing: `(batch, time)` int32, 0 in padding.
            characters: `(batch, time, characters)` int32, padded at the end with 0.
        """
        words = tf.where(ids >= self.rare_from, self.unknown, ids)
        around = range(-self.window, self.window + 1)
        word = {step: _moved(words, step) for step in around}
        case = {step: _moved(casing, step) for step in around}
        novel = {
            step: 2 * case[step] + tf.cast(word[step] == self.unknown, tf.int32)
            for step in around
            if abs(step) <= 1
        }
        pairs = [
            case[0] * _MIX + other
            for step in (-1, 1)
            if self.window
            for other in (case[step], word[step] + 16)
        ]
        values = [*word.values(), *case.values(), *novel.values(), *pairs]
        values += _affixes(characters)
        spread = [(value * _MIX + slot) * _SPREAD for slot, value in enumerate(values)]
        # The upper half of the product is the well mixed one.
        return tf.math.floormod(tf.stack(spread, -1) // 4096, self.size)

    def call(self, ids: tf.Tensor, characters: tf.Tensor, casing: tf.Tensor) -> tf.Tensor:
        rows = self.features(ids, characters, casing)
        return tf.reduce_sum(tf.gather(self.table.value, rows), 2) + self.bias

    def compute_output_spec(self, ids: Any, characters: Any, casing: Any) -> keras.KerasTensor:
        return keras.KerasTensor((*ids.shape, self.tags), dtype="float32")

    def set(self, table: np.ndarray, bias: np.ndarray) -> None:
        """Take fitted weights, `(size, tags)` and `(tags,)`."""
        self.table.assign(table)
        self.bias.assign(bias)

    def get_config(self) -> dict[str, Any]:
        names = ("size", "tags", "rare_from", "unknown", "window")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _moved(values: tf.Tensor, steps: int) -> tf.Tensor:
    """What stands `steps` tokens later (earlier, if negative), 0 outside."""
    size, far = tf.shape(values)[1], abs(steps)
    padded = tf.pad(values, [[0, 0], [far, far]])
    return padded[:, far + steps : far + steps + size]


def _affixes(characters: tf.Tensor) -> list[tf.Tensor]:
    """A number for each beginning and each end of the tokens, `(batch, time)` int32."""
    count = tf.reduce_sum(tf.cast(characters > 0, tf.int32), -1)
    places = tf.range(tf.shape(characters)[-1])
    found, held = [], tf.zeros_like(count)
    for place in range(_PREFIXES):
        held = held * _MIX + characters[:, :, place] + 1
        found.append(held)
    held = tf.zeros_like(count)
    for place in range(1, _SUFFIXES + 1):
        here = tf.cast(places == (count - place)[:, :, None], tf.int32)
        held = held * _MIX + tf.reduce_sum(characters * here, -1) + 1
        found.append(held)
    return found
