"""The tags that a model chooses among, by number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from apps.data.tagged.schemes import OUTSIDE, TokenSpan, tags_of

_PREFIXES = {"IOB2": "BI", "BIOES": "BIES"}
_OPENS, _CLOSES = "BS", "ES"


class TagSet:
    """Tags of some types in one scheme; 0 is O.

    A type that is none of them gets numbers behind those of the model, so that its spans can be
    told apart and count as missed.

    Args:
        types: names of the types of spans.
        scheme: IOB2 or BIOES.
    """

    def __init__(self, types: Sequence[str], scheme: str) -> None:
        self.types, self.scheme = tuple(types), scheme
        self.prefixes = _PREFIXES[scheme]
        self.names = (OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in self.prefixes))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def type_of(self) -> np.ndarray:
        """Number of each tag's type, `(tags,)` int32; -1 for O."""
        each = np.repeat(np.arange(len(self.types)), len(self.prefixes))
        return np.concatenate([[-1], each]).astype(np.int32)

    @property
    def opens(self) -> np.ndarray:
        """Whether each tag begins a span, `(tags,)` bool."""
        return np.array([name[0] in _OPENS for name in self.names])

    @property
    def legal(self) -> np.ndarray:
        """Which tag may follow which, as `apps.layers.crf.CRF` takes it.

        I and E continue a span of their type, and in BIOES a span that B has begun ends with E.
        """
        names = [*self.names, OUTSIDE]
        return np.array([[self._follows(one, other) for other in names] for one in names])

    def _follows(self, one: str, other: str) -> bool:
        unfinished = self.scheme == "BIOES" and one[0] in "BI"
        continues = other[0] in "IE"
        if unfinished and not continues:
            return False
        return not continues or (one[0] in "BI" and one[2:] == other[2:])

    def encode(self, spans: Iterable[TokenSpan], count: int) -> np.ndarray:
        """Tags of a sentence of `count` tokens, `(count,)` int32."""
        numbers = {name: number for number, name in enumerate(self.names)}
        unknown = {prefix: len(self) + i for i, prefix in enumerate(self.prefixes)}
        tags = tags_of(spans, count, self.scheme)
        return np.array([numbers.get(tag, unknown.get(tag[0], 0)) for tag in tags], np.int32)

    def found(self, tags: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The spans that legal tags mean, `(spans, 4)` int64, sorted: row, first, last, type.

        Args:
            tags: `(rows, time)`, unknown types among them.
            lengths: `(rows,)`.
        """
        size = len(self.prefixes)
        padded = np.arange(tags.shape[1])[None] >= lengths[:, None]
        tags = np.where(padded, 0, tags)
        tags = np.concatenate([tags, np.zeros((len(tags), 1), tags.dtype)], 1)
        prefix = np.where(tags > 0, np.array(list(self.prefixes))[(tags - 1) % size], OUTSIDE)
        row, first = np.nonzero(np.isin(prefix, list(_OPENS)))
        goes_on = np.isin(prefix, ["I", "E"])
        stops = ~goes_on
        # The next step at which no span goes on, from each step.
        steps = np.where(stops, np.arange(tags.shape[1])[None], tags.shape[1])
        following = np.minimum.accumulate(steps[:, ::-1], 1)[:, ::-1]
        last = following[row, first + 1] - 1
        kind = (tags[row, first] - 1) // size
        return np.stack([row, first, last, np.minimum(kind, len(self.types))], 1)
