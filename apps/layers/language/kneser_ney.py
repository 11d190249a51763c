"""Interpolated modified Kneser-Ney estimates of word n-grams from transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.layers.language.arpa import BEGIN, END, NEVER, Ngrams

# Discounts of n-grams seen once, twice and more often if the counts of counts give none: KenLM's.
_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True, eq=False)
class _Counted:
    """The distinct n-grams of one order.

    Attributes:
        contexts: `(n,)` index of all words but the last among those of the order below.
        suffixes: `(n,)` index of all words but the first among those of the order below.
        words: `(n,)` the last word.
        counts: `(n,)` number of occurrences in the transcripts.
        begins: `(n,)` bool, whether it begins a sentence.
    """

    contexts: np.ndarray
    suffixes: np.ndarray
    words: np.ndarray
    counts: np.ndarray
    begins: np.ndarray


def estimate(
    sentences: Sequence[Sequence[int] | np.ndarray], vocabulary: int, order: int
) -> tuple[Ngrams, ...]:
    """Estimate an n-gram model from sentences.

    Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", section
    3, in its interpolated form: an n-gram below the full order counts once for every word that it
    follows, or as often as it occurs if it begins a sentence. Single words are interpolated with a
    uniform distribution over all words but `<s>`, which gives `<unk>` its share.

    Args:
        sentences: word ids of each, without begin and end; ids below 3 are those of `SPECIAL`.
        vocabulary: number of words, specials included.
        order: words of the longest n-grams.

    Returns:
        The n-grams of each order; fewer orders if no sentence is that long.
    """
    counted = _count(sentences, vocabulary, order)
    levels: list[Ngrams] = []
    below = np.full(1, 1 / (vocabulary - 1))  # without <s>
    for k, grams in enumerate(counted):
        counts = grams.counts
        if k + 1 < len(counted):
            above = counted[k + 1]
            follows = np.bincount(above.suffixes, minlength=len(grams.words))
            counts = np.where(grams.begins, grams.counts, follows)
        if k == 0:
            counts = np.where(grams.words == BEGIN, 0, counts)
        contexts = len(levels[-1]) if levels else 1
        discount = _discounts(counts)[np.minimum(counts, 3)]
        total = np.bincount(grams.contexts, counts, contexts)
        freed = np.bincount(grams.contexts, discount, contexts)
        share = np.divide(freed, total, out=np.ones(contexts), where=total > 0)
        if levels:
            levels[-1].backoff[:] = np.log10(share)
        probability = (counts - discount) / total[grams.contexts]
        probability += share[grams.contexts] * below[grams.suffixes]
        log10 = np.log10(probability)
        if k == 0:
            log10[BEGIN] = NEVER
        levels.append(
            Ngrams(
                grams.contexts.astype(np.int32),
                grams.words.astype(np.int32),
                log10.astype(np.float32),
                np.zeros(len(log10), np.float32),
            )
        )
        below = probability
    return tuple(levels)


def _count(
    sentences: Sequence[Sequence[int] | np.ndarray], vocabulary: int, order: int
) -> list[_Counted]:
    lengths = np.array([len(sentence) + 2 for sentence in sentences])
    ends = np.repeat(np.cumsum(lengths), lengths)
    words = np.concatenate([[BEGIN, *sentence, END] for sentence in sentences]).astype(np.int64)
    positions = np.arange(len(words))
    single = np.arange(vocabulary)
    counted = [
        _Counted(
            np.zeros(vocabulary, np.int64),
            np.zeros(vocabulary, np.int64),
            single,
            np.bincount(words, minlength=vocabulary),
            single == BEGIN,
        )
    ]
    places = words
    for k in range(2, order + 1):
        positions = positions[positions + k <= ends[positions]]
        if not len(positions):
            break
        keys = places[positions] * vocabulary + words[positions + k - 1]
        found, first, inverse, counts = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        first = positions[first]
        counted.append(
            _Counted(
                found // vocabulary,
                places[first + 1],
                found % vocabulary,
                counts,
                words[first] == BEGIN,
            )
        )
        places = np.full(len(words), -1)
        places[positions] = inverse
    return counted


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Discounts of counts 0, 1, 2, and 3 or more, `(4,)`."""
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in range(1, 5))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        taken = (y, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if n4 and all(0 < value <= count for count, value in enumerate(taken, 1)):
            return np.array([0.0, *taken])
    return np.array([0.0, *_DISCOUNTS])
