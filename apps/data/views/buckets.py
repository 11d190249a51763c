"""Which rows make up a batch, and to what length it is padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_BATCHES_IN_POOL = 100


class Batch(NamedTuple):
    """The rows of one step of training or of measuring.

    Attributes:
        rows: `(batch,)` int64, numbers of the view's units; -1 for an empty row.
        length: steps to which the main sequence of every row is padded.
        begins: `(batch,)` bool, rows whose carried state is reset; None where none is carried.
    """

    rows: np.ndarray
    length: int
    begins: np.ndarray | None = None


@dataclass(frozen=True)
class LengthBuckets:
    """The lengths to which batches are padded: few, since XLA and cuDNN set up anew for each.

    Attributes:
        boundaries: rising lengths, in steps.
    """

    boundaries: tuple[int, ...]

    @classmethod
    def up_to(
        cls, longest: int, *, shortest: int = 16, ratio: float = 1.25, multiple: int = 8
    ) -> LengthBuckets:
        """Lengths that grow by a factor of about `ratio`.

        Args:
            longest: steps of the longest row; the last boundary is the smallest that holds it.
            shortest: the first boundary, in steps.
            ratio: bounds the padding beyond the longest row of a batch.
            multiple: every boundary is a multiple of it, which suits vector units.
        """
        top = max(1, -(-longest // multiple)) * multiple
        boundaries: list[int] = []
        boundary = shortest
        while boundary < top:
            boundaries.append(boundary)
            boundary = max(boundary + multiple, round(boundary * ratio / multiple) * multiple)
        return cls((*boundaries, top))

    def padded(self, lengths: np.ndarray) -> np.ndarray:
        """The smallest boundary that holds each length.

        Args:
            lengths: `(rows,)` in steps, none above the last boundary.

        Returns:
            `(rows,)` int64 in steps.
        """
        return np.asarray(self.boundaries, np.int64)[np.searchsorted(self.boundaries, lengths)]


def epoch_batches(
    lengths: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    *,
    buckets: LengthBuckets | None = None,
    first: np.ndarray | None = None,
) -> list[Batch]:
    """Shuffled batches of rows of similar length, a pure function of the arguments.

    Random pools of rows are ordered by padded length and cut into batches; all batches are
    shuffled. Rows of equal padded length stay in random order, so that epochs differ even where a
    small data set is a single pool. An epoch is resumed by skipping the batches already seen.

    Args:
        lengths: `(rows,)` in steps.
        batch_size: rows in a batch; the rest makes one smaller batch.
        seed: not negative.
        epoch: from 0.
        buckets: what rows are padded to; the usual ones unless given.
        first: `(rows,)`, by which a pool is ordered before it is by padded length.

    Returns:
        Batches that hold every row exactly once.
    """
    random = np.random.default_rng([seed, epoch])
    padded = (buckets or _buckets(lengths)).padded(lengths)
    keys = (padded,) if first is None else (padded, first)
    order = random.permutation(len(lengths))
    pool_size = batch_size * _BATCHES_IN_POOL
    batches: list[Batch] = []
    for start in range(0, len(order), pool_size):
        pool = order[start : start + pool_size]
        pool = pool[np.lexsort([key[pool] for key in keys])]
        batches += _cut(pool, padded, batch_size)
    return [batches[i] for i in random.permutation(len(batches))]


def sorted_batches(
    lengths: np.ndarray, batch_size: int, *, buckets: LengthBuckets | None = None
) -> list[Batch]:
    """Batches for evaluation: longest rows first, so that memory runs out early or never.

    Args:
        lengths: `(rows,)` in steps.
        batch_size: rows in a batch; the rest makes one smaller batch.
        buckets: what rows are padded to; the usual ones unless given.

    Returns:
        Batches that hold every row exactly once.
    """
    padded = (buckets or _buckets(lengths)).padded(lengths)
    return _cut(np.argsort(-np.asarray(lengths), kind="stable"), padded, batch_size)


def _buckets(lengths: np.ndarray) -> LengthBuckets:
    return LengthBuckets.up_to(int(max(lengths, default=0)))


def _cut(order: np.ndarray, padded: np.ndarray, batch_size: int) -> list[Batch]:
    parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [Batch(part, int(padded[part].max())) for part in parts]
