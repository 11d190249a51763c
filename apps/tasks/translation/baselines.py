"""Naive translations: the source as it stands, and word by word."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from apps.components import Baseline
from apps.data import Examples
from apps.sampling import rows_within

_TOKEN = re.compile(r"\w+|[^\w\s]")
_ROUNDS = 5
# Of the training pairs, so many links between words of both sides at most.
_MOST_LINKS = 10_000_000


class Copy(Baseline):
    """Answers with the source itself.

    Args:
        source: its column.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def fit(self, examples: Examples) -> None:
        pass

    def predict(self, examples: Examples) -> np.ndarray:
        return np.array(examples[self.source], object)

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        pass


class WordDictionary(Baseline):
    """Translates word by word, each by the word that is likeliest to stand for it.

    Brown et al. 1993, "The mathematics of statistical machine translation", model 1. Unknown words
    are copied.

    Args:
        source, target: columns of both sides.
        seed: of the sample that is learnt from where pairs are very many.
    """

    def __init__(self, source: str, target: str, seed: int) -> None:
        self.source, self.target, self.seed = source, target, seed
        self.words: dict[str, str] = {}

    def fit(self, examples: Examples) -> None:
        pairs = [
            (_TOKEN.findall(one), _TOKEN.findall(other))
            for one, other in zip(examples[self.source], examples[self.target], strict=True)
        ]
        links = np.array([len(one) * len(other) for one, other in pairs], np.int64)
        pairs = [pairs[row] for row in rows_within(links, _MOST_LINKS, self.seed)]
        ours = _numbered(word for words, _ in pairs for word in words)
        theirs = _numbered(word for _, words in pairs for word in words)
        ids: list[np.ndarray] = []
        slots: list[np.ndarray] = []
        places = 0
        for one, other in pairs:
            left = np.array([ours[word] for word in one], np.int64)
            right = np.array([theirs[word] for word in other], np.int64)
            ids.append((left[None] * len(theirs) + right[:, None]).ravel())
            slots.append(np.repeat(np.arange(len(other)) + places, len(one)))
            places += len(other)
        if not places or not ours:
            return
        entries, entry = np.unique(np.concatenate(ids), return_inverse=True)
        slot, sources = np.concatenate(slots), entries // len(theirs)
        odds: np.ndarray = np.ones(len(entries))
        for _ in range(_ROUNDS):
            share = odds[entry]
            share /= np.bincount(slot, share, places)[slot]
            counts = np.bincount(entry, share, len(entries))
            odds = counts / np.bincount(sources, counts, len(ours))[sources]
        order = np.lexsort((-odds, sources))
        first = order[np.unique(sources[order], return_index=True)[1]]
        names, others = list(ours), list(theirs)
        self.words = {
            names[sources[best]]: others[entries[best] % len(theirs)] for best in first.tolist()
        }

    def predict(self, examples: Examples) -> np.ndarray:
        return np.array(
            [
                " ".join(self.words.get(word, word) for word in _TOKEN.findall(text))
                for text in examples[self.source]
            ],
            object,
        )

    def state(self) -> dict[str, np.ndarray]:
        # One text, since an array of texts is as wide as the longest of them.
        return {
            "from": np.array("\n".join(self.words)),
            "to": np.array("\n".join(self.words.values())),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        sides = (str(state[name]).split("\n") for name in ("from", "to"))
        self.words = {one: other for one, other in zip(*sides, strict=True) if one}


def _numbered(words: object) -> dict[str, int]:
    return {word: number for number, word in enumerate(dict.fromkeys(words))}  # type: ignore[call-overload]
