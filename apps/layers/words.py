"""Words as vectors: by their letters, and with rare ones forgotten at times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.phrases import CODES
from apps.layers.stack import LSTMStack


@keras.saving.register_keras_serializable("apps")
class CharacterLSTM(keras.layers.Layer):
    """A word's vector from its characters: the last states of an LSTM in each direction.

    Lample et al. 2016, "Neural architectures for named entity recognition", section 4.1.

    Args:
        alphabet: number of distinct ids of characters, 0 for padding among them.
        embedding: width of a character's vector.
        units: width of each direction.
        dropout: share of the characters' features that is dropped, one mask for a whole word.
        seed: of dropout.
    """

    def __init__(
        self,
        alphabet: int,
        embedding: int,
        units: int,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alphabet, self.embedding, self.units = alphabet, embedding, units
        self.dropout, self.seed = dropout, seed
        self.vectors = keras.layers.Embedding(
            alphabet, embedding, dtype=self.dtype_policy, name="vectors"
        )
        self.stack = LSTMStack(
            units,
            bidirectional=True,
            input_dropout=dropout,
            return_sequences=False,
            seed=seed,
            dtype=self.dtype_policy,
            name="stack",
        )

    def build(self, shape: Any) -> None:
        self.vectors.build((None, None))
        self.stack.build((None, None, self.embedding))

    def call(self, characters: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Read words letter by letter.

        Args:
            characters: `(batch, time, characters)` int32, padded at the end with 0.
            training: whether dropout applies.

        Returns:
            `(batch, time, 2 · units)`.
        """
        shape = tf.shape(characters)
        flat = tf.reshape(characters, [-1, shape[2]])
        lengths = tf.reduce_sum(tf.cast(flat > 0, tf.int32), 1)
        # Kernels take no row without a step, and no batch without one either.
        longest = tf.maximum(tf.reduce_max(lengths), 1)
        flat = flat[:, :longest]
        mask = tf.sequence_mask(tf.maximum(lengths, 1), longest)
        states = self.stack(self.vectors(flat), mask=mask, training=training)
        return tf.reshape(states, [shape[0], shape[1], 2 * self.units])

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:2], 2 * self.units)

    def get_config(self) -> dict[str, Any]:
        names = ("alphabet", "embedding", "units", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("apps")
class ListVectors(keras.layers.Layer):
    """A word's vector from what it is in each list, as `apps.layers.phrases.Phrases` gives it.

    Args:
        width: of the vector of one list.
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width

    def build(self, shape: Any) -> None:
        self.vectors = self.add_weight(
            shape=(shape[-1] * CODES, self.width), initializer="uniform", name="vectors"
        )

    def call(self, lists: tf.Tensor) -> tf.Tensor:
        """Look up `(batch, time, lists)` int32, which gives `(batch, time, lists · width)`."""
        own = lists + CODES * tf.range(lists.shape[-1])
        wide = [*tf.unstack(tf.shape(lists)[:2]), lists.shape[-1] * self.width]
        return tf.reshape(tf.gather(tf.convert_to_tensor(self.vectors), own), wide)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        return (*shape[:2], shape[-1] * self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable("apps")
class ForgetRare(keras.layers.Layer):
    """Ids in which rare words are unknown ones at times, so that the unknown word is learnt.

    A word that the training texts hold `n` times is forgotten with probability
    `rate / (rate + n)` (Kiperwasser & Goldberg 2016, "Simple and accurate dependency parsing using
    bidirectional LSTM feature representations", section 4).

    Args:
        counts: how often the training texts hold each word; word `i` has the id `i + first_id`.
        first_id: lower ids are never forgotten.
        unknown: id of the unknown word.
        rate: as above; with 0 nothing is forgotten.
        seed: of the draws.
    """

    def __init__(
        self,
        counts: Sequence[int],
        first_id: int,
        unknown: int,
        rate: float,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.counts, self.first_id, self.unknown = list(counts), first_id, unknown
        self.rate, self.seed = rate, seed
        self.generator = keras.random.SeedGenerator(seed)
        shares = rate / (rate + np.maximum(counts, 1))
        self._shares = np.concatenate([np.zeros(first_id), shares]).astype(np.float32)

    def call(self, ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return tf.identity(ids)
        drawn = keras.random.uniform(tf.shape(ids), seed=self.generator)
        return tf.where(drawn < tf.gather(self._shares, ids), self.unknown, ids)

    def compute_output_spec(self, ids: Any, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(ids.shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        names = ("counts", "first_id", "unknown", "rate", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
