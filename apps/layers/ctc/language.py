"""A word n-gram model and its lexicon inside the graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
import tensorflow as tf

from apps.layers.ctc.lexicon import BLOCK, Lexicon
from apps.layers.ctc.tokens import IMPOSSIBLE

if TYPE_CHECKING:
    from apps.layers.language.ngram import NgramModel

_UNKNOWN, _END = 0, 2


@keras.saving.register_keras_serializable("apps")
class NgramTables(keras.layers.Layer):
    """A word n-gram model and a lexicon as look-up tables in the graph.

    The tables are untrained weights, so any model that holds the layer saves them, whatever their
    size. A language state is an int32, 0 at the start of a sentence; a node of the lexicon is an
    int32, 0 at the start of a word. Methods work elementwise and broadcast their arguments.

    Args:
        order: words of the longest n-grams.
        vocabulary: number of words, `<unk>`, `<s>` and `</s>` included.
        states: number of language states.
        arcs: number of n-grams of all orders.
        nodes: number of nodes of the lexicon.
        tokens: number of tokens, rounded up to whole blocks of 63.
        unknown_penalty: added to the natural logarithm of the probability of `<unk>` for each word
            outside the lexicon; None to rule such words out.
    """

    def __init__(
        self,
        order: int,
        vocabulary: int,
        states: int,
        arcs: int,
        nodes: int,
        tokens: int,
        unknown_penalty: float | None = -10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.order, self.vocabulary = order, vocabulary
        self.sizes = {"states": states, "arcs": arcs, "nodes": nodes, "tokens": tokens}
        self.unknown_penalty = unknown_penalty
        blocks = tokens // BLOCK
        self._chain = self._table("chain", (states, order), "int32")
        self._weights_along = self._table("weights", (states, order), "float32")
        self._keys = self._table("keys", (arcs,), "int64")
        self._scores = self._table("scores", (arcs,), "float32")
        self._targets = self._table("targets", (arcs,), "int32")
        self._followers = self._table("followers", (nodes, blocks), "int64")
        self._children = self._table("children", (nodes, blocks), "int32")
        self._words = self._table("words", (nodes,), "int32")
        self.built = True

    def _table(self, name: str, shape: tuple[int, ...], dtype: str) -> keras.Variable:
        return self.add_weight(
            shape=shape, dtype=dtype, initializer="zeros", trainable=False, name=name
        )

    @classmethod
    def of(
        cls,
        model: NgramModel,
        lexicon: Lexicon,
        unknown_penalty: float | None = -10.0,
        **kwargs: Any,
    ) -> Self:
        """Build the tables from a model and a lexicon of its words."""
        automaton = model.automaton
        tables = cls(
            model.order,
            len(model.words),
            len(automaton.chain),
            len(automaton.keys),
            len(lexicon.words),
            lexicon.followers.shape[1] * BLOCK,
            unknown_penalty,
            **kwargs,
        )
        tables._chain.assign(automaton.chain)
        tables._weights_along.assign(automaton.weights * np.float32(math.log(10)))
        tables._keys.assign(automaton.keys)
        tables._scores.assign(automaton.log10 * np.float32(math.log(10)))
        tables._targets.assign(automaton.targets)
        tables._followers.assign(lexicon.followers)
        tables._children.assign(lexicon.children)
        tables._words.assign(lexicon.words)
        return tables

    def advance(self, state: tf.Tensor, word: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Score a word and move to the next state.

        Args:
            state: `(…)` int32 language states.
            word: `(…)` int32 word ids, -1 for a word outside the lexicon.

        Returns:
            `(…)` float32, the natural logarithm of the word's probability, and `(…)` int32, the
            state after it.
        """
        state, word = _broadcast(state, word)
        flat, words = tf.reshape(state, [-1]), tf.reshape(word, [-1])
        unknown = words < 0
        words = tf.cast(tf.where(unknown, _UNKNOWN, words), tf.int64)
        chain = tf.gather(self._chain, flat)
        wanted = tf.cast(chain, tf.int64) * self.vocabulary + words[:, None]
        places = tf.searchsorted(self._keys, tf.reshape(wanted, [-1]))
        places = tf.reshape(tf.minimum(places, self.sizes["arcs"] - 1), tf.shape(wanted))
        found = tf.equal(tf.gather(self._keys, places), wanted)
        level = tf.argmax(tf.cast(found, tf.int32), -1, tf.int32)[:, None]
        place = tf.gather(places, level, batch_dims=1)[:, 0]
        weight = tf.gather(tf.gather(self._weights_along, flat), level, batch_dims=1)[:, 0]
        penalty = IMPOSSIBLE if self.unknown_penalty is None else self.unknown_penalty
        score = tf.gather(self._scores, place) + weight + tf.where(unknown, penalty, 0.0)
        after = tf.gather(self._targets, place)
        return tf.reshape(score, tf.shape(state)), tf.reshape(after, tf.shape(state))

    def finish(self, state: tf.Tensor) -> tf.Tensor:
        """Natural logarithm of the probability that the sentence ends, `(…)` float32.

        Args:
            state: `(…)` int32 language states.
        """
        return self.advance(state, tf.fill(tf.shape(state), _END))[0]

    def next_node(self, node: tf.Tensor, token: tf.Tensor) -> tf.Tensor:
        """Nodes of the lexicon after one more token.

        Args:
            node: `(…)` int32 nodes, 0 where a word begins, -1 outside the lexicon.
            token: `(…)` int32 token ids.

        Returns:
            `(…)` int32; -1 where no word continues with the token.
        """
        node, token = _broadcast(node, token)
        place = tf.stack([tf.maximum(node, 0), token // BLOCK], -1)
        followers = tf.gather_nd(self._followers, place)
        bit = tf.bitwise.left_shift(tf.ones([], tf.int64), tf.cast(token % BLOCK, tf.int64))
        lower = tf.raw_ops.PopulationCount(x=tf.bitwise.bitwise_and(followers, bit - 1))
        child = tf.gather_nd(self._children, place) + tf.cast(lower, tf.int32)
        follows = tf.not_equal(tf.bitwise.bitwise_and(followers, bit), 0) & (node >= 0)
        return tf.where(follows, child, -1)

    def word_at(self, node: tf.Tensor) -> tf.Tensor:
        """Words that end at nodes of the lexicon, `(…)` int32; -1 where none does.

        Args:
            node: `(…)` int32 nodes, -1 outside the lexicon.
        """
        return tf.where(node < 0, -1, tf.gather(self._words, tf.maximum(node, 0)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "order": self.order,
            "vocabulary": self.vocabulary,
            **self.sizes,
            "unknown_penalty": self.unknown_penalty,
        }


def _broadcast(first: Any, second: Any) -> tuple[tf.Tensor, tf.Tensor]:
    first, second = tf.convert_to_tensor(first, tf.int32), tf.convert_to_tensor(second, tf.int32)
    shape = tf.broadcast_dynamic_shape(tf.shape(first), tf.shape(second))
    return tf.broadcast_to(first, shape), tf.broadcast_to(second, shape)
