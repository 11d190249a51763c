"""Word n-gram models with back-off."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from apps.errors import UserError
from apps.layers.ctc.tokens import normalized
from apps.layers.language import arpa, kneser_ney
from apps.layers.language.arpa import BEGIN, SPECIAL, UNKNOWN, Ngrams

_LARGEST_ORDER = 6


@dataclass(frozen=True, eq=False)
class BackoffAutomaton:
    """An n-gram model as states and arcs: a state is the longest known suffix of the words so far.

    State 0 is the start of a sentence. A word without an arc from a state is scored from the next
    state of its chain, plus the back-off weights up to there.

    Attributes:
        chain: `(states, order)` int32, the state itself, then ever shorter suffixes of it, padded
            with the state of no words, from which every word has an arc.
        weights: `(states, order)` float32, log10 of the back-off weights up to there.
        keys: `(arcs,)` int64, state times number of words, plus word; ascending.
        log10: `(arcs,)` float32, log10 of the probability of the word.
        targets: `(arcs,)` int32, the state after the word.
    """

    chain: np.ndarray
    weights: np.ndarray
    keys: np.ndarray
    log10: np.ndarray
    targets: np.ndarray


class NgramModel:
    """Probabilities of words after the words before them, with back-off.

    Katz's recursion as in ARPA files: a listed n-gram has its own probability; any other one has
    that of the n-gram without its first word, times the back-off weight of its context.

    Args:
        words: the vocabulary; the first three are `<unk>`, `<s>` and `</s>`.
        levels: the n-grams of each order, from single words on.
    """

    def __init__(self, words: Sequence[str], levels: Sequence[Ngrams]) -> None:
        if tuple(words[: len(SPECIAL)]) != SPECIAL or len(levels[0]) != len(words):
            raise ValueError(f"words begin with {SPECIAL}, and each has its single-word n-gram")
        self.words = tuple(words)
        self.levels = tuple(levels)

    @property
    def order(self) -> int:
        """Words of the longest n-grams."""
        return len(self.levels)

    @classmethod
    def train(cls, transcripts: Iterable[str], order: int = 3) -> Self:
        """Estimate a model by interpolated modified Kneser-Ney smoothing.

        The order is lower if no transcript is that long. `<s>` and `</s>` within a transcript
        are left out, and `<unk>` stands for any word outside the vocabulary.

        Args:
            transcripts: one sentence each.
            order: words of the longest n-grams, 1 to 6.

        Raises:
            UserError: no transcript has a word, or the order is out of range.
        """
        if not 1 <= order <= _LARGEST_ORDER:
            raise UserError(f"n-gram order {order}: give one from 1 to {_LARGEST_ORDER}")
        sentences = [
            [word for word in normalized(text).split() if word not in SPECIAL[BEGIN:]]
            for text in transcripts
        ]
        sentences = [sentence for sentence in sentences if sentence]
        found = {word for sentence in sentences for word in sentence} - set(SPECIAL)
        if not found:
            raise UserError("no transcript has a word to learn n-grams from; give transcripts")
        words = (*SPECIAL, *sorted(found))
        ids = {word: place for place, word in enumerate(words)}
        numbers = [[ids[word] for word in sentence] for sentence in sentences]
        return cls(words, kneser_ney.estimate(numbers, len(words), order))

    @classmethod
    def read_arpa(cls, path: str | os.PathLike[str]) -> Self:
        """A model from an ARPA file; see `apps.layers.language.arpa.read_arpa`."""
        return cls(*arpa.read_arpa(path))

    def write_arpa(self, path: str | os.PathLike[str]) -> None:
        """Write the model as an ARPA file; see `apps.layers.language.arpa.write_arpa`."""
        arpa.write_arpa(path, self.words, self.levels)

    def log10(self, word: str, context: Sequence[str] = ()) -> float:
        """log10 of the probability of a word.

        Args:
            word: the word; `</s>` for the end of the sentence.
            context: the words before it, after `<s>` if they begin the sentence.
        """
        state: np.ndarray | int = self._begin  # the automaton's state of no words
        for earlier in context:
            _, state = self.advance(state, self._id(earlier))
        return float(self.advance(state, self._id(word))[0])

    def advance(
        self, states: np.ndarray | int, words: np.ndarray | int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score words and move to the next states.

        Args:
            states: `(…)` states of the automaton; 0 begins a sentence.
            words: `(…)` word ids.

        Returns:
            log10 of the words' probabilities `(…)` float32, and the states after them.
        """
        automaton = self.automaton
        chain = automaton.chain[states]
        keys = chain.astype(np.int64) * len(self.words) + np.asarray(words)[..., None]
        places = np.minimum(np.searchsorted(automaton.keys, keys), len(automaton.keys) - 1)
        level = np.argmax(automaton.keys[places] == keys, -1)[..., None]
        place = np.take_along_axis(places, level, -1)[..., 0]
        weight = np.take_along_axis(automaton.weights[states], level, -1)[..., 0]
        return automaton.log10[place] + weight, automaton.targets[place]

    @cached_property
    def automaton(self) -> BackoffAutomaton:
        """The model in the form in which `advance` looks it up."""
        sizes = [1, *map(len, self.levels)]
        offsets = np.cumsum([0, *sizes])
        states = int(offsets[self.order])
        parents = np.concatenate(
            [offsets[k] + level.contexts for k, level in enumerate(self.levels)]
        )
        words = np.concatenate([level.words for level in self.levels])
        keys = parents.astype(np.int64) * len(self.words) + words
        sorting = np.argsort(keys)
        ascending = keys[sorting]

        # For each n-gram, the root included, the longest shorter suffix that is an n-gram too.
        shorter = np.zeros(int(offsets[-1]), np.int64)
        for k in range(2, self.order + 1):
            ngrams = np.arange(offsets[k], offsets[k + 1])
            end = shorter[parents[ngrams - 1]]
            while len(ngrams):
                wanted = end * len(self.words) + words[ngrams - 1]
                places = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
                found = ascending[places] == wanted
                shorter[ngrams[found]] = 1 + sorting[places[found]]
                ngrams, end = ngrams[~found], shorter[end[~found]]

        targets = np.arange(1, len(shorter))
        targets = np.where(targets < states, targets, shorter[1:])
        backoff = np.concatenate([[0.0], *(level.backoff for level in self.levels[:-1])])
        chain, weights = [np.arange(states)], [np.zeros(states, np.float32)]
        for _ in range(self.order - 1):
            weights.append(weights[-1] + backoff[chain[-1]].astype(np.float32))
            chain.append(shorter[chain[-1]])

        # Exchange state 0 with the start of a sentence.
        renamed = np.arange(states)
        renamed[[0, self._begin]] = self._begin, 0
        keys = renamed[parents].astype(np.int64) * len(self.words) + words
        sorting = np.argsort(keys)
        return BackoffAutomaton(
            renamed[np.stack(chain, -1)][renamed].astype(np.int32),
            np.stack(weights, -1)[renamed],
            keys[sorting],
            np.concatenate([level.log10 for level in self.levels])[sorting],
            renamed[targets][sorting].astype(np.int32),
        )

    @property
    def _begin(self) -> int:
        """The node of `<s>` in the trie of n-grams, the root where words have no context."""
        return 1 + BEGIN if self.order > 1 else 0

    def _id(self, word: str) -> int:
        return self._ids.get(word, UNKNOWN)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}
