"""Scores of tags from a word and its neighbours alone, by a linear model of hashed features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.phrases import CODES

# Multipliers of Knuth's multiplicative hash, and of the mixing of several values; both wrap.
_SPREAD, _MIX = -1640531535, 263
# The row of features that do not hold; it is 0.
NOTHING = 0
_PREFIXES, _SUFFIXES = 3, 4


@keras.saving.register_keras_serializable("apps")
class LocalScores(keras.layers.Layer):
    """The sum of one row of a table for each feature of a token (the hashing trick).

    Features are the words and the case of the token and of its neighbours, what they are in lists
    of names, pairs of these, and the first and last letters of the token (Weinberger et al. 2009,
    "Feature hashing for large scale multitask learning").

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

    def features(
        self,
        ids: tf.Tensor,
        characters: tf.Tensor,
        casing: tf.Tensor,
        lists: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Rows of the table for each token, `(batch, time, features)` int32.

        Args:
            ids, casing: `(batch, time)` int32, 0 in padding.
            characters: `(batch, time, characters)` int32, padded at the end with 0.
            lists: `(batch, time, lists)` int32, as `Phrases` gives them.
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
        listed = [] if lists is None else _listed(lists, case)
        spread = [(value * _MIX + slot) * _SPREAD for slot, value in enumerate(values + listed)]
        # The upper half of the product is the well mixed one.
        rows = 1 + tf.math.floormod(tf.stack(spread, -1) // 4096, self.size - 1)
        always = [tf.ones_like(ids, tf.bool)] * len(values)
        present = tf.stack([*always, *(value != 0 for value in listed)], -1)
        return tf.where(present, rows, NOTHING)

    def call(
        self,
        ids: tf.Tensor,
        characters: tf.Tensor,
        casing: tf.Tensor,
        lists: tf.Tensor | None = None,
    ) -> tf.Tensor:
        rows = self.features(ids, characters, casing, lists)
        return tf.reduce_sum(tf.gather(self.table.value, rows), 2) + self.bias

    def compute_output_spec(
        self, ids: Any, characters: Any, casing: Any, lists: Any = None
    ) -> keras.KerasTensor:
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


def _listed(lists: tf.Tensor, case: Mapping[int, tf.Tensor]) -> list[tf.Tensor]:
    """Numbers of what a token and its neighbours are in the lists, 0 where they are in none."""
    found = []
    together = tf.zeros_like(lists[:, :, 0])
    for codes in tf.unstack(lists, axis=-1):
        together = together * CODES + codes
        for step in (-1, 0, 1):
            there = _moved(codes, step)
            found += [there, tf.where(there > 0, there * _MIX + case[step], 0)]
    for step in (-1, 1):
        beside = _moved(together, step)
        pair = (together * _MIX + beside) * _MIX + 1
        found.append(tf.where((together != 0) | (beside != 0), pair, 0))
    return found


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
