"""Log probabilities of prefixes, and what a language model adds to them."""

from __future__ import annotations

import keras
import tensorflow as tf

from apps.layers.ctc.decoder import Tensors
from apps.layers.ctc.language import NgramTables
from apps.layers.ctc.tokens import IMPOSSIBLE, SPACE

# The score of every prefix that can still become an answer is above this.
POSSIBLE = IMPOSSIBLE / 10


def log_add(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Logarithm of the sum of two numbers given by their logarithms."""
    larger = tf.maximum(first, second)
    return larger + tf.math.softplus(tf.minimum(first, second) - larger)


class WordScoring:
    """Scores prefixes by the words that have ended in them.

    Prefixes carry `language`, the score of their words so far in nats; `words`, the language
    model's state; and `node`, the lexicon's node of the word in progress: 0 between words, -1
    outside the lexicon.

    Args:
        tables: the language model and its lexicon.
        weights: the weight of the language model, and what each word adds in nats, `(2,)` float32;
            read at each step, so that they can change after a graph is traced.
    """

    def __init__(self, tables: NgramTables, weights: keras.Variable) -> None:
        self._tables = tables
        self._weights = weights

    @property
    def _alpha(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._weights.value)[0]

    @property
    def _beta(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._weights.value)[1]

    @property
    def _left_lexicon(self) -> tf.Tensor:
        # A prefix pays as soon as its word leaves the lexicon: if it paid at the word's end, it
        # would crowd out prefixes that are still words.
        penalty = self._tables.unknown_penalty
        return tf.constant(IMPOSSIBLE) if penalty is None else self._alpha * penalty

    def extend(self, beams: Tensors, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score every prefix as it is, and extended by every token.

        Args:
            beams: `language` float32, `words` and `node` int32, `(batch, beam)`.
            ids: tokens, `(batch, candidates)` int32.

        Returns:
            Scores `(batch, beam, 1 + candidates)`, nodes of the same shape, and the states
            `(batch, beam)` after the word that a space would end.
        """
        node = beams["node"]
        ended, words = self._end_of_word(beams)
        # No text begins with a space, and no two spaces follow each other.
        ended = tf.where(node == 0, IMPOSSIBLE, ended)
        spaces = (ids == SPACE)[:, None]
        nodes = self._tables.next_node(node[:, :, None], ids[:, None])
        left = (nodes < 0) & (node >= 0)[:, :, None]
        gains = tf.where(spaces, ended[:, :, None], tf.where(left, self._left_lexicon, 0.0))
        language = beams["language"][:, :, None]
        return (
            tf.concat([language, language + gains], 2),
            tf.concat([node[:, :, None], tf.where(spaces, 0, nodes)], 2),
            words,
        )

    def end(self, beams: Tensors) -> tf.Tensor:
        """What the last word and the end of the sentence add to each prefix, `(batch, beam)`."""
        ended, words = self._end_of_word(beams)
        between = beams["node"] == 0
        words = tf.where(between, beams["words"], words)
        return tf.where(between, 0.0, ended) + self._alpha * self._tables.finish(words)

    def _end_of_word(self, beams: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """What ending the word in progress adds, and the state after it."""
        node = beams["node"]
        word = self._tables.word_at(node)
        log, words = self._tables.advance(beams["words"], word)
        gain = self._alpha * log + self._beta
        if self._tables.unknown_penalty is None:
            return tf.where(word < 0, IMPOSSIBLE, gain), words
        return gain - tf.where(node < 0, self._left_lexicon, 0.0), words
