"""The baseline of tagging: mentions that the training rows hold are found again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from apps.components import Baseline
from apps.data import Examples
from apps.data.tagged.schemes import TokenSpan
from apps.tasks.tagging.tag_set import TagSet

Sentence = tuple[list[str], list[TokenSpan]]
_BETWEEN = "\x1f"


class Mentions(Baseline):
    """Marks each sequence of words that was a span more often than not, the longest first.

    Args:
        sentences: gives words and spans of each unit; spans only where units have them.
        tag_set: the tags to answer with.
    """

    def __init__(
        self, sentences: Callable[[Examples], Iterator[Sentence]], tag_set: TagSet
    ) -> None:
        self.sentences, self.tag_set = sentences, tag_set
        self.known: dict[tuple[str, ...], str] = {}

    def fit(self, examples: Examples) -> None:
        marked: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        rows = list(self.sentences(examples))
        for words, spans in rows:
            for span in spans:
                marked[tuple(words[span.first : span.last + 1])][span.type] += 1
        longest = max(map(len, marked), default=0)
        seen: Counter[tuple[str, ...]] = Counter()
        for words, _ in rows:
            for parts in _parts(words, longest):
                if parts in marked:
                    seen[parts] += 1
        self.known = {
            parts: min(types, key=lambda kind: (-types[kind], kind))
            for parts, types in sorted(marked.items())
            if 2 * types.total() >= seen[parts]
        }

    def predict(self, examples: Examples) -> np.ndarray:
        """Tags `(units, time)` int32, padded with 0."""
        rows = [self._tags(words) for words, _ in self.sentences(examples)]
        tags = np.zeros((len(rows), max(map(len, rows), default=1)), np.int32)
        for target, row in zip(tags, rows, strict=True):
            target[: len(row)] = row
        return tags

    def _tags(self, words: Sequence[str]) -> np.ndarray:
        longest = max(map(len, self.known), default=0)
        spans, place = [], 0
        while place < len(words):
            for size in range(min(longest, len(words) - place), 0, -1):
                kind = self.known.get(tuple(words[place : place + size]))
                if kind is not None:
                    spans.append(TokenSpan(place, place + size - 1, kind))
                    place += size - 1
                    break
            place += 1
        return self.tag_set.encode(spans, max(len(words), 1))

    def state(self) -> dict[str, np.ndarray]:
        mentions = [_BETWEEN.join(parts) for parts in self.known]
        return {
            "mentions": np.array(mentions, np.str_),
            "types": np.array(list(self.known.values()), np.str_),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        pairs = zip(state["mentions"].tolist(), state["types"].tolist(), strict=True)
        self.known = {tuple(mention.split(_BETWEEN)): kind for mention, kind in pairs}


def _parts(words: Sequence[str], longest: int) -> Iterator[tuple[str, ...]]:
    """All runs of up to `longest` words."""
    for first in range(len(words)):
        for last in range(first + 1, min(first + longest, len(words)) + 1):
            yield tuple(words[first:last])
