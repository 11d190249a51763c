"""Texts to tokens inside the graph: where each begins and ends in the text, whatever its script."""

from __future__ import annotations

import itertools
import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# What a code point does to the tokens around it.
SPACE, WORD, DIGIT, SINGLE, MARK = range(5)
_UNSPACED = (
    *("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"),
    *("JAVANESE", "BALINESE", "NEW TAI LUE", "TAI LE", "YI SYLLABLE"),
)
# Behind the last letter, Unicode has marks in one place, and otherwise nothing or private symbols.
_LETTERS_END, _TAGS_AND_SELECTORS = 0x33480, ((0xE0000, 0xE01F0),)
_ZERO_WIDTH_SPACES = "\u200b\ufeff"
_JOINS_DIGITS = tuple(map(ord, ".,:"))
_AFTER_SCHEME = tuple(map(ord, "://"))


class Tokens(NamedTuple):
    """The tokens of some texts.

    Attributes:
        points: `(texts, tokens, characters)` ragged int32, the code points of each token.
        starts: `(texts, tokens)` ragged int32, offset of a token in its text, in code points.
        ends: the same for its end, exclusive.
    """

    points: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


def tokenized(texts: tf.Tensor, *, letters: bool = False) -> Tokens:
    """Cut texts into words, numbers and single marks.

    A word is a run of letters and digits; every punctuation mark or symbol, and every letter of a
    script that is written without spaces, is a token of its own; combining marks, joiners and
    variation selectors belong to the letter before them. Digits with `.`, `,` or `:` between them
    are one number, and what holds `://` reaches to the next space. Bytes that are not UTF-8 count
    as one replacement character each.

    Args:
        texts: `(texts,)` string.
        letters: make every letter a token, for languages whose names begin or end within words.
    """
    points = tf.strings.unicode_decode(texts, "UTF-8")
    flat = points.flat_values
    kinds = _kinds(flat)
    if letters:
        kinds = tf.where((kinds == WORD) | (kinds == DIGIT), SINGLE, kinds)
    before = _shifted(kinds, points, 1, SPACE)
    stray = (kinds == MARK) & (before == SPACE)
    kinds = tf.where(stray, WORD, kinds)
    joins = tf.reduce_any(flat[:, None] == _JOINS_DIGITS, 1)
    digit = kinds == DIGIT
    joins &= _shifted(digit, points, 1, False) & _shifted(digit, points, -1, False)
    kinds = tf.where(joins | (_addresses(flat, kinds, points) & (kinds != SPACE)), DIGIT, kinds)
    held = _held(kinds)
    earlier = _shifted(held, points, 1, SPACE)
    inside = (held == WORD) | (held == DIGIT)
    goes_on = inside & ((earlier == WORD) | (earlier == DIGIT)) | (kinds == MARK)
    begins = (kinds != SPACE) & ~(goes_on & (earlier != SPACE))

    kept = kinds != SPACE
    token = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    count = tf.reduce_sum(tf.cast(begins, tf.int32))
    sizes = tf.math.bincount(tf.boolean_mask(token, kept), minlength=count, maxlength=count)
    row = tf.cast(points.value_rowids(), tf.int32)
    offset = tf.range(tf.size(flat)) - tf.gather(tf.cast(points.row_starts(), tf.int32), row)
    starts = tf.boolean_mask(offset, begins)
    rows = tf.boolean_mask(points.value_rowids(), begins)

    def by_text(values: tf.Tensor | tf.RaggedTensor) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_value_rowids(values, rows, nrows=points.nrows())

    characters = tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(flat, kept), tf.cast(sizes, rows.dtype)
    )
    return Tokens(by_text(characters), by_text(starts), by_text(starts + sizes))


def _held(kinds: tf.Tensor) -> tf.Tensor:
    """Kinds in which a mark has that of the code point that it belongs to."""
    own = kinds != MARK
    number = tf.maximum(tf.cumsum(tf.cast(own, tf.int32)) - 1, 0)
    owners = tf.boolean_mask(kinds, own)
    # Without any code point there is nothing to gather from.
    return tf.gather(tf.concat([owners, [SPACE]], 0), number)


def _addresses(flat: tf.Tensor, kinds: tf.Tensor, points: tf.RaggedTensor) -> tf.Tensor:
    """Whether a code point stands in a run without spaces that holds `://`."""
    found = tf.ones_like(flat, tf.bool)
    for place, mark in enumerate(_AFTER_SCHEME):
        found &= _shifted(flat, points, -place, 0) == mark
    opens = (kinds != SPACE) & (_shifted(kinds, points, 1, SPACE) == SPACE)
    run = tf.cumsum(tf.cast(opens, tf.int32))
    count = tf.reduce_sum(tf.cast(opens, tf.int32)) + 1
    has = tf.math.unsorted_segment_max(tf.cast(found, tf.int32), run, count)
    return tf.gather(has, run) > 0


def _shifted(values: tf.Tensor, points: tf.RaggedTensor, steps: int, rest: object) -> tf.Tensor:
    """What stands `steps` code points earlier in the same text (later, if negative), or `rest`."""
    size, back = tf.size(values), abs(steps)
    filler = tf.fill([tf.minimum(back, size)], tf.cast(rest, values.dtype))
    rows = points.value_rowids()
    outside = tf.fill([tf.minimum(back, size)], tf.constant(-1, rows.dtype))
    if steps > 0:
        moved = tf.concat([filler, values[: tf.maximum(size - back, 0)]], 0)
        from_row = tf.concat([outside, rows[: tf.maximum(size - back, 0)]], 0)
    else:
        moved = tf.concat([values[back:], filler], 0)
        from_row = tf.concat([rows[back:], outside], 0)
    return tf.where(from_row == rows, moved, tf.cast(rest, values.dtype))


def _kinds(points: tf.Tensor) -> tf.Tensor:
    """The kind of each code point, int32."""
    starts, kinds = _ranges()
    place = tf.searchsorted(tf.constant(starts), points, side="right") - 1
    return tf.gather(tf.constant(kinds), place)


@cache
def _ranges() -> tuple[np.ndarray, np.ndarray]:
    """First code point of each run of equal kinds, and that kind, both int32."""
    starts, kinds, point = [], [], 0
    for kind, run in itertools.groupby(map(_kind, map(chr, range(_LETTERS_END)))):
        starts.append(point)
        kinds.append(kind)
        point += sum(1 for _ in run)
    for start, stop in _TAGS_AND_SELECTORS:
        starts += [point, start]
        kinds += [SINGLE, MARK]
        point = stop
    return np.array([*starts, point], np.int32), np.array([*kinds, SINGLE], np.int32)


def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp", "Cc", "Cs", "Cn") or character in _ZERO_WIDTH_SPACES:
        # A code point without a meaning yet is one thing rather than a gap.
        return SINGLE if category == "Cn" else SPACE
    if category[0] == "M" or category == "Cf":
        return MARK
    if category == "Nd":
        return DIGIT
    if category[0] in "LN":
        return SINGLE if unicodedata.name(character, "").startswith(_UNSPACED) else WORD
    return SINGLE
