"""Lists of names: which tokens begin or go on a phrase of which list, inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

NONE, BEGINS, GOES_ON = range(3)
CODES = 3
MOST_LISTS = 31


class Phrases:
    """Finds phrases of several lists among tokens, the longest first.

    Ratinov & Roth 2009, "Design challenges and misconceptions in named entity recognition",
    section 6; Chiu & Nichols 2016, "Named entity recognition with bidirectional LSTM-CNNs",
    section 2.3.

    Args:
        lists: names of the lists.
        phrases: tokens as a vocabulary spells them, with spaces between; each phrase once.
        members: the lists that hold each phrase, bit `i` for list `i`.
    """

    def __init__(
        self, lists: Sequence[str], phrases: Sequence[str], members: Sequence[int]
    ) -> None:
        if not 0 < len(lists) <= MOST_LISTS or len(phrases) != len(members) or not phrases:
            raise ValueError(f"{len(lists)} lists, {len(phrases)} phrases, {len(members)} members")
        self.lists, self.phrases, self.members = list(lists), list(phrases), list(members)
        self.longest = 1 + max(phrase.count(" ") for phrase in phrases)
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(self.phrases, tf.string), tf.constant(self.members, tf.int32)
            ),
            default_value=0,
        )

    def codes(self, words: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """What each token is in each list: `NONE`, `BEGINS` or `GOES_ON`.

        A phrase that lies within a longer one of the same list does not count.

        Args:
            words: the tokens of all texts end to end, `(tokens,)` string.
            rows: number of the text of each of them, `(tokens,)` int64, ascending.

        Returns:
            `(tokens, lists)` int32.
        """
        place = tf.range(tf.size(words))[:, None]
        bits = tf.constant([1 << number for number in range(len(self.lists))], tf.int32)
        phrase, ends = words, tf.zeros([tf.size(words), len(self.lists)], tf.int32)
        for more in range(self.longest):
            if more:
                phrase = tf.strings.join([phrase, _later(words, more, "")], " ")
            held = tf.bitwise.bitwise_and(self._table.lookup(phrase)[:, None], bits) != 0
            held &= (_later(rows, more, -1) == rows)[:, None]
            ends = tf.where(held, place + 1 + more, ends)
        # Where the phrases end that begin earlier: a running maximum, by windows that double.
        furthest, width = _earlier(ends, 1), 1
        while width < self.longest:
            furthest = tf.maximum(furthest, _earlier(furthest, width))
            width *= 2
        inside = (furthest > place) & (furthest >= ends)
        return tf.where(inside, GOES_ON, tf.where(ends > 0, BEGINS, NONE))

    def tsv(self) -> str:
        """A line for each phrase: it, a tab, and the numbers of its lists with commas between."""
        numbers = range(len(self.lists))
        rows = zip(self.phrases, self.members, strict=True)
        return "".join(
            f"{phrase}\t{','.join(str(n) for n in numbers if held >> n & 1)}\n"
            for phrase, held in rows
        )

    def to_dict(self) -> dict[str, Any]:
        """The arguments, ready for JSON."""
        return {"lists": self.lists, "phrases": self.phrases, "members": self.members}


def _later(values: tf.Tensor, steps: int, rest: object) -> tf.Tensor:
    """What stands `steps` places later in `(places,)`, `rest` behind the end."""
    missing = tf.fill([tf.minimum(steps, tf.size(values))], tf.constant(rest, values.dtype))
    return tf.concat([values[steps:], missing], 0)


def _earlier(values: tf.Tensor, steps: int) -> tf.Tensor:
    """What stands `steps` places earlier in `(places, lists)`, zeros before the start."""
    size = tf.shape(values)[0]
    return tf.pad(values[: tf.maximum(size - steps, 0)], [[tf.minimum(steps, size), 0], [0, 0]])
