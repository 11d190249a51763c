"""One Unicode form (NFC) for texts, inside the graph and outside it.

A letter with a mark can be written as one character or as several, and keyboards and file systems
differ in which they write. TensorFlow has no operation for that outside TensorFlow Text, which the
stock server lacks, so the standard's algorithm is spelt out here: decompose, order the marks,
compose (Unicode Standard Annex 15).
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

_LAST = 0x30000
# Syllables of Hangul are made of a leading consonant, a vowel and perhaps a trailing consonant.
_SYLLABLE, _LEADING, _VOWEL, _TRAILING = 0xAC00, 0x1100, 0x1161, 0x11A7
_LEADINGS, _VOWELS, _TRAILINGS = 19, 21, 28
_SYLLABLES = _LEADINGS * _VOWELS * _TRAILINGS
_NONE = -1


def composed(text: str) -> str:
    """The text in NFC."""
    return unicodedata.normalize("NFC", text)


def compose(texts: tf.Tensor) -> tf.Tensor:
    """Texts in NFC; the same characters as `composed` gives.

    Args:
        texts: `(batch,)` string, valid UTF-8.

    Returns:
        `(batch,)` string. A batch without a mark or a character to replace passes as it is.
    """
    with tf.name_scope("compose"):
        done = tf.strings.regex_full_match(texts, _tables().done)
        return tf.cond(tf.reduce_all(done), lambda: tf.identity(texts), lambda: _compose(texts))


@dataclass(frozen=True)
class _Tables:
    """What the algorithm looks up.

    Attributes:
        done: pattern of texts that need no look-up, in RE2's syntax.
        whole: `(n,)` int32, sorted characters that decompose, Hangul aside.
        parts: `(n, most)` int32, what each of them becomes, with -1 behind it.
        marks: `(m,)` int32, sorted characters of a combining class other than 0.
        classes: `(m,)` int32, those classes.
        pairs: `(p,)` int64, sorted pairs that compose, the first in the upper 32 bits.
        composites: `(p,)` int32, what each pair becomes.
    """

    done: str
    whole: np.ndarray
    parts: np.ndarray
    marks: np.ndarray
    classes: np.ndarray
    pairs: np.ndarray
    composites: np.ndarray

    @property
    def passes(self) -> int:
        """How many characters can be composed into one after another."""
        return self.parts.shape[1] - 1


@functools.cache
def _tables() -> _Tables:
    whole: dict[int, list[int]] = {}
    classes: dict[int, int] = {}
    pairs: dict[int, int] = {}
    seconds = {*range(_VOWEL, _VOWEL + _VOWELS), *range(_TRAILING + 1, _TRAILING + _TRAILINGS)}
    for code in range(0xC0, _LAST):
        letter = chr(code)
        if kind := unicodedata.combining(letter):
            classes[code] = kind
        mapping = unicodedata.decomposition(letter)
        if not mapping or mapping.startswith("<"):
            continue
        whole[code] = [ord(part) for part in unicodedata.normalize("NFD", letter)]
        if unicodedata.normalize("NFC", letter) == letter:
            first, second = (int(part, 16) for part in mapping.split())
            pairs[first << 32 | second] = code
            seconds.add(second)
    replaced = {code for code in whole if composed(chr(code)) != chr(code)}
    parts = np.full((len(whole), max(map(len, whole.values()))), _NONE, np.int32)
    for row, found in enumerate(whole.values()):
        parts[row, : len(found)] = found
    ordered = sorted(pairs)
    return _Tables(
        f"[^{_ranges(seconds | replaced | set(classes))}]*",
        np.array(list(whole), np.int32),
        parts,
        np.array(list(classes), np.int32),
        np.array(list(classes.values()), np.int32),
        np.array(ordered, np.int64),
        np.array([pairs[pair] for pair in ordered], np.int32),
    )


def _ranges(codes: set[int]) -> str:
    """Characters as ranges for the inside of brackets, in RE2's syntax."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges)


def _compose(texts: tf.Tensor) -> tf.Tensor:
    tables = _tables()
    found = tf.strings.unicode_decode(texts, "UTF-8")
    codes, rows = _decomposed(found.values, tf.cast(found.value_rowids(), tf.int32))
    classes, marked = _looked_up(codes, tables.marks, tables.classes)
    classes = tf.where(marked, classes, 0)
    # Marks go by their class up to the next character that is none; equal ones keep their order.
    starts = tf.cumsum(tf.cast(classes == 0, tf.int32)) + rows
    order = tf.argsort(tf.cast(starts, tf.int64) * 256 + tf.cast(classes, tf.int64), stable=True)
    codes, classes = tf.gather(codes, order), tf.gather(classes, order)
    for _ in range(tables.passes):
        codes, classes, rows = _joined(codes, classes, rows)
    batch = tf.shape(texts, tf.int64)[0]
    whole = tf.RaggedTensor.from_value_rowids(codes, tf.cast(rows, tf.int64), batch)
    return tf.ensure_shape(tf.strings.unicode_encode(whole, "UTF-8"), texts.shape)


def _decomposed(codes: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Characters taken apart, `(n,)` int32, and the text that each is of."""
    tables = _tables()
    parts, split = _looked_up(codes, tables.whole, tables.parts)
    alone = tf.pad(codes[:, None], [[0, 0], [0, tables.passes]], constant_values=_NONE)
    syllable = codes - _SYLLABLE
    trailing = syllable % _TRAILINGS
    jamo = [
        _LEADING + syllable // (_VOWELS * _TRAILINGS),
        _VOWEL + syllable // _TRAILINGS % _VOWELS,
        tf.where(trailing > 0, _TRAILING + trailing, _NONE),
    ]
    padding = [tf.fill(tf.shape(codes), _NONE)] * (tables.parts.shape[1] - len(jamo))
    parts = tf.where(split[:, None], parts, alone)
    parts = tf.where(_within(syllable, 0, _SYLLABLES)[:, None], tf.stack(jamo + padding, 1), parts)
    kept = parts != _NONE
    rows = tf.broadcast_to(rows[:, None], tf.shape(parts))
    return tf.boolean_mask(parts, kept), tf.boolean_mask(rows, kept)


def _joined(
    codes: tf.Tensor, classes: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The characters after each base has taken up the first that it can take up.

    A mark between them blocks those of its own class and of lower ones. No character that a base
    takes up is itself a base of another, so all bases can do it at once.
    """
    index = tf.range(tf.size(codes))
    bases = tf.cast(tf.where(classes == 0)[:, 0], tf.int32)
    # A character that is no mark looks to the base before it.
    number = tf.cumsum(tf.cast(classes == 0, tf.int32), exclusive=True) - 1
    base = tf.gather(tf.pad(bases, [[1, 0]]), number + 1)
    before = tf.pad(classes, [[1, 0]])[:-1]
    free = (base == index - 1) | ((before > 0) & (before < classes))
    free &= (number >= 0) & (tf.gather(rows, base) == rows)
    composites, composes = _composites(tf.gather(codes, base), codes)
    taken = tf.cast(tf.where(free & composes)[:, 0], tf.int32)
    owners = tf.gather(base, taken)
    is_first = tf.pad(owners[1:] != owners[:-1], [[1, 0]], constant_values=True)
    taken = tf.boolean_mask(taken, is_first[: tf.size(taken)])
    owners = tf.gather(base, taken)[:, None]
    codes = tf.tensor_scatter_nd_update(codes, owners, tf.gather(composites, taken))
    kept = tf.tensor_scatter_nd_update(
        tf.ones_like(codes, tf.bool), taken[:, None], tf.zeros_like(taken, tf.bool)
    )
    return tuple(tf.boolean_mask(values, kept) for values in (codes, classes, rows))


def _composites(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What pairs of characters become, and whether they compose; else the former means nothing."""
    pair = tf.bitwise.left_shift(tf.cast(first, tf.int64), 32) + tf.cast(second, tf.int64)
    found, composes = _looked_up(pair, _tables().pairs, _tables().composites)
    leading, vowel = first - _LEADING, second - _VOWEL
    two = _within(leading, 0, _LEADINGS) & _within(vowel, 0, _VOWELS)
    found = tf.where(two, _SYLLABLE + (leading * _VOWELS + vowel) * _TRAILINGS, found)
    syllable, trailing = first - _SYLLABLE, second - _TRAILING
    three = _within(syllable, 0, _SYLLABLES) & (syllable % _TRAILINGS == 0)
    three &= _within(trailing, 1, _TRAILINGS)
    return tf.where(three, first + trailing, found), composes | two | three


def _within(values: tf.Tensor, low: int, high: int) -> tf.Tensor:
    return (values >= low) & (values < high)


def _looked_up(
    wanted: tf.Tensor, keys: np.ndarray, values: np.ndarray
) -> tuple[tf.Tensor, tf.Tensor]:
    """The value of each key, and whether there is one; without one the value means nothing."""
    place = tf.minimum(tf.searchsorted(keys, wanted), len(keys) - 1)
    return tf.gather(values, place), tf.gather(keys, place) == wanted
