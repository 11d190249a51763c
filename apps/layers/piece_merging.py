"""Merging of byte pairs with TensorFlow's own operations, all words at once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

_SPACE, _LINE = ord(" "), ord("\n")
_SHIFT = 2**32
_NOTHING = np.int64(2**62)


class PieceMerging:
    """Characters to pieces: of a word, the two neighbours whose join is the piece of the lowest id
    are joined, the leftmost first, until no join is a piece.

    Args:
        ids: of the pieces by their texts; of two joins, the one of the lower id comes first.
        unknown: id of a run of characters that are no pieces.
        longest: a word is read in parts of so many characters.

    Attributes:
        letters: table of code points to ids; the layer that uses it holds it too, to have it saved.
        joined: the same of pairs of ids.
    """

    def __init__(self, ids: Mapping[str, int], unknown: int, longest: int) -> None:
        self._ids, self._unknown, self._longest = ids, unknown, longest
        self._joins = {
            (ids[piece[:cut]], ids[piece[cut:]]): number
            for piece, number in ids.items()
            for cut in range(1, len(piece))
            if piece[:cut] in ids and piece[cut:] in ids
        }
        letters = {ord(piece): number for piece, number in ids.items() if len(piece) == 1}
        self.letters = _table([*letters], [*letters.values()], unknown)
        keys = [left * _SHIFT + right for left, right in self._joins]
        self.joined = _table(keys, [*self._joins.values()], -1)

    def word(self, word: str) -> list[int]:
        """Ids of one word, outside the graph."""
        ids = [self._ids.get(letter, self._unknown) for letter in word]
        while True:
            joins = [self._joins.get(pair, -1) for pair in itertools.pairwise(ids)]
            there = [join for join in joins if join >= 0]
            if not there:
                break
            at = joins.index(min(there))
            ids[at : at + 2] = [joins[at]]
        pairs = zip([-1, *ids], ids, strict=False)
        return [own for before, own in pairs if own != self._unknown or before != own]

    def __call__(self, texts: tf.Tensor, end: int | None, most: int | None) -> dict[str, tf.Tensor]:
        """Ids of texts, inside the graph.

        Args:
            texts: `(batch,)` string, with a space before each line.
            end: id that goes behind each text, if any.
            most: a longer text is cut behind so many ids, that of the end included.

        Returns:
            As `apps.layers.subwords.Subwords`.
        """
        batch = tf.shape(texts, tf.int64)[0]
        found = tf.strings.unicode_decode(texts, "UTF-8")
        codes, rows = found.flat_values, tf.cast(found.value_rowids(), tf.int32)
        count = tf.size(codes)
        words = self._words(codes, rows, count)
        letters = self.letters.lookup(tf.cast(codes, tf.int64))
        ids, places = self._merged(letters, words)

        # A run of unknown characters within a word is one.
        own = tf.gather(words, places)
        again = (ids[1:] == self._unknown) & (ids[:-1] == self._unknown) & (own[1:] == own[:-1])
        kept = tf.concat([tf.ones([tf.minimum(count, 1)], tf.bool), ~again], 0)
        ids, places = tf.boolean_mask(ids, kept), tf.boolean_mask(places, kept)
        pieces = tf.RaggedTensor.from_value_rowids(
            ids, tf.cast(tf.gather(rows, places), tf.int64), batch
        )
        unknown = self._characters(codes, rows, letters, places, pieces, batch)
        if most is not None:
            free = most - (end is not None)
            pieces = pieces[:, :free]
            unknown = tf.ragged.boolean_mask(unknown, unknown[:, :, 0] < free)
        if end is not None:
            ends = tf.RaggedTensor.from_uniform_row_length(tf.fill([batch], end), 1)
            pieces = tf.concat([pieces, ends], 1)
        lengths = tf.cast(pieces.row_lengths(), tf.int32)
        padded = pieces.to_tensor()
        # Recurrent kernels take no batch without a step.
        padded = tf.pad(padded, [[0, 0], [0, tf.maximum(1 - tf.shape(padded)[1], 0)]])
        return {
            "ids": padded,
            "lengths": lengths,
            "unknown": _padded_pairs(unknown),
            "unknown_lengths": tf.cast(unknown.row_lengths(), tf.int32),
        }

    def _words(self, codes: tf.Tensor, rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Number of the word that each character is of, `(characters,)` int32."""
        first = tf.concat([tf.ones([tf.minimum(count, 1)], tf.bool), rows[1:] != rows[:-1]], 0)
        line = codes == _LINE
        after = tf.concat([tf.zeros([tf.minimum(count, 1)], tf.bool), line[:-1]], 0)
        starts = first | line | after | (codes == _SPACE)
        index = tf.range(count)
        number = tf.cumsum(tf.cast(starts, tf.int32)) - 1
        begin = tf.gather(tf.boolean_mask(index, starts), number)
        starts |= (index - begin) % self._longest == 0
        return tf.cumsum(tf.cast(starts, tf.int32)) - 1

    def _merged(self, letters: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids of pieces, and the character at which each begins."""
        count = tf.reduce_max(tf.concat([words, [-1]], 0)) + 1

        def join(_: tf.Tensor, ids: tf.Tensor, words: tf.Tensor, places: tf.Tensor) -> tuple:
            pairs = tf.cast(ids[:-1], tf.int64) * _SHIFT + tf.cast(ids[1:], tf.int64)
            joined = tf.cast(self.joined.lookup(pairs), tf.int64)
            index = tf.range(tf.size(joined), dtype=tf.int64)
            joins = (joined >= 0) & (words[1:] == words[:-1])
            # The lowest id of each word, and its leftmost place, in one number.
            order = tf.where(joins, joined * _SHIFT + index, _NOTHING)
            best = tf.math.unsorted_segment_min(order, words[:-1], count)
            best = tf.boolean_mask(best, best < _NOTHING)
            at = best % _SHIFT
            ids = tf.tensor_scatter_nd_update(ids, at[:, None], tf.cast(best // _SHIFT, tf.int32))
            kept = tf.tensor_scatter_nd_update(
                tf.ones_like(ids, tf.bool), at[:, None] + 1, tf.zeros_like(at, tf.bool)
            )
            rest = (tf.boolean_mask(values, kept) for values in (ids, words, places))
            return (tf.size(at) > 0, *rest)

        shapes = (tf.TensorShape([]), *[tf.TensorShape([None])] * 3)
        _, ids, _, places = tf.while_loop(
            lambda going, *_: going,
            join,
            (tf.constant(True), letters, words, tf.range(tf.size(letters))),
            shape_invariants=shapes,
        )
        return ids, places

    def _characters(
        self,
        codes: tf.Tensor,
        rows: tf.Tensor,
        letters: tf.Tensor,
        places: tf.Tensor,
        pieces: tf.RaggedTensor,
        batch: tf.Tensor,
    ) -> tf.RaggedTensor:
        """Place of the piece and code point of each character that is not known."""
        begins = tf.tensor_scatter_nd_update(
            tf.zeros_like(codes), places[:, None], tf.ones_like(places)
        )
        piece = tf.cumsum(begins) - 1
        at = piece - tf.gather(tf.cast(pieces.row_starts(), tf.int32), rows)
        strange = letters == self._unknown
        pairs = tf.boolean_mask(tf.stack([at, codes], 1), strange)
        return tf.RaggedTensor.from_value_rowids(
            pairs, tf.cast(tf.boolean_mask(rows, strange), tf.int64), batch
        )


def _padded_pairs(pairs: tf.RaggedTensor) -> tf.Tensor:
    """`(batch, most, 2)`, with at least one entry."""
    padded = pairs.to_tensor(shape=[None, None, 2])
    return tf.pad(padded, [[0, 0], [0, tf.maximum(1 - tf.shape(padded)[1], 0)], [0, 0]])


def _table(keys: list[int], values: list[int], missing: int) -> tf.lookup.StaticHashTable:
    # TensorFlow takes no empty table.
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant([-1, *keys], tf.int64), tf.constant([missing, *values], tf.int32)
        ),
        default_value=missing,
    )
