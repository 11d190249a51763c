"""N-grams: the next token from the last few ones, by counting."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from apps import environment
from apps.components import Baseline
from apps.data import Examples
from apps.layers.language.arpa import BEGIN, END, Ngrams
from apps.layers.language.kneser_ney import estimate
from apps.sampling import rows_within

# Counting more takes longer than a minute, and more memory than training.
_MOST_TOKENS = 3_000_000
# Ids of tokens begin behind four of their own, those of n-grams behind three.
_SHIFT = 1


class NgramBaseline(Baseline):
    """Interpolated modified Kneser-Ney n-grams of tokens.

    Args:
        tokens: the layer that turns texts into tokens.
        order: tokens of the longest n-grams.
    """

    def __init__(self, tokens: Any, order: int) -> None:
        self.tokens, self.order = tokens, order
        self.levels: tuple[Ngrams, ...] = ()

    @property
    def _size(self) -> int:
        return self.tokens.size - _SHIFT

    def fit(self, examples: Examples) -> None:
        texts = examples["text"]
        sizes = np.array([len(text) for text in texts])
        ids, offsets = self.tokens.flat(texts)
        rows = rows_within(np.diff(offsets), _MOST_TOKENS, 0) if len(sizes) > 1 else np.arange(1)
        chosen = [_shifted(ids[offsets[row] : offsets[row + 1]])[:_MOST_TOKENS] for row in rows]
        counted = sum(map(len, chosen))
        if counted < len(ids):
            environment.say(f"{self.order}-gram from {counted:,} of {len(ids):,} tokens")
        self.levels = estimate(chosen, self._size, self.order)

    def predict(self, examples: Examples) -> dict[str, np.ndarray]:
        windows, contexts = examples["ids"], examples["context"]
        longest = max((len(window) for window in windows), default=0)
        log_probs = np.zeros((len(windows), max(longest, 1)), np.float32)
        for row, (window, context) in enumerate(zip(windows, contexts, strict=True)):
            before = _shifted(context)
            if len(context) < self.order - 1:
                before = np.append([BEGIN], before)
            words = np.concatenate([before, _shifted(window)]).astype(np.int64)
            log_probs[row, : len(window)] = self._scores(words)[len(before) :]
        return {"log_probs": log_probs}

    def _scores(self, words: np.ndarray) -> np.ndarray:
        """The logarithm of each word's probability after those before it, `(words,)` in nats.

        A text's end is no token, so its share is divided among the others.
        """
        levels, size = self.levels, self._size
        ends = np.full(len(words), END)
        score, ending = (levels[0].log10[each].astype(np.float64) for each in (words, ends))
        # The number of the n-gram of the last order that ends at each place, or -1.
        found = words
        for below, level in itertools.pairwise(levels):
            before = np.append([-1], found[:-1])
            score, found = _longer(level, below, before, words, score, size)
            ending, _ = _longer(level, below, before, ends, ending, size)
        return score * np.log(10.0) - np.log1p(-np.minimum(10.0**ending, 0.999))

    def state(self) -> dict[str, np.ndarray]:
        return {
            f"{order}_{name}": getattr(level, name)
            for order, level in enumerate(self.levels, 1)
            for name in ("contexts", "words", "log10", "backoff")
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        orders = max(int(name.partition("_")[0]) for name in state)
        self.levels = tuple(
            Ngrams(*(state[f"{k}_{n}"] for n in ("contexts", "words", "log10", "backoff")))
            for k in range(1, orders + 1)
        )


def _longer(
    level: Ngrams,
    below: Ngrams,
    before: np.ndarray,
    words: np.ndarray,
    score: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The log10 of words by n-grams of one order more, and the numbers of those n-grams."""
    place = np.where(before < 0, -1, level.places(np.maximum(before, 0), words, size))
    backed = score + np.where(before < 0, 0.0, below.backoff[before])
    return np.where(place < 0, backed, level.log10[place]), place


def _shifted(ids: np.ndarray) -> np.ndarray:
    """Ids as n-grams know them: the unknown token first, `<s>` and `</s>`, then the others."""
    ids = np.asarray(ids, np.int64)
    return np.where(ids > 1, ids - _SHIFT, 0)
