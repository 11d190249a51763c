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

    Attributes:
        table: the lists of each phrase; the layer that uses it holds it too, so that it is saved.

    Args:
        lists: names of the lists.
        lines: a line for each phrase: its tokens as a vocabulary spells them, with spaces between,
            a tab, and the numbers of the lists that hold it, with commas between.
    """

    def __init__(self, lists: Sequence[str], lines: str) -> None:
        if not 0 < len(lists) <= MOST_LISTS:
            raise ValueError(f"{len(lists)} lists; give 1 to {MOST_LISTS}")
        # One text, since a saved layer's config would be walked through name by name.
        self.lists, self.lines = list(lists), lines
        rows = [line.split("\t") for line in lines.split("\n") if line]
        phrases = [phrase for phrase, _ in rows]
        held = [sum(1 << int(number) for number in numbers.split(",")) for _, numbers in rows]
        self.longest = 1 + max(phrase.count(" ") for phrase in phrases)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(phrases, tf.string), tf.constant(held, tf.int32)
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
            held = tf.bitwise.bitwise_and(self.table.lookup(phrase)[:, None], bits) != 0
            held &= (_later(rows, more, -1) == rows)[:, None]
            ends = tf.where(held, place + 1 + more, ends)
        # Where the phrases end that begin earlier: a running maximum, by windows that double.
        furthest, width = _earlier(ends, 1), 1
        while width < self.longest:
            furthest = tf.maximum(furthest, _earlier(furthest, width))
            width *= 2
        inside = (furthest > place) & (furthest >= ends)
        return tf.where(inside, GOES_ON, tf.where(ends > 0, BEGINS, NONE))

    def to_dict(self) -> dict[str, Any]:
        """The arguments, ready for JSON."""
        return {"lists": self.lists, "lines": self.lines}


def _later(values: tf.Tensor, steps: int, rest: object) -> tf.Tensor:
    """What stands `steps` places later in `(places,)`, `rest` behind the end."""
    missing = tf.fill([tf.minimum(steps, tf.size(values))], tf.constant(rest, values.dtype))
    return tf.concat([values[steps:], missing], 0)


def _earlier(values: tf.Tensor, steps: int) -> tf.Tensor:
    """What stands `steps` places earlier in `(places, lists)`, zeros before the start."""
    size = tf.shape(values)[0]
    return tf.pad(values[: tf.maximum(size - steps, 0)], [[tf.minimum(steps, size), 0], [0, 0]])
