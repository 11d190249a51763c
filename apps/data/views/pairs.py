"""Rows of two sequences, batched so that neither is padded much."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from apps.data.views.buckets import Batch, LengthBuckets
from apps.data.views.rows import Rows

_BATCHES_IN_POOL = 100
# Sentences have a dozen steps, of which the usual padding would add half as many.
_MULTIPLE = 2


class PairedRows(Rows):
    """Rows whose batches are alike in the lengths of two sequences.

    Args:
        columns: as `Rows` takes them, the main sequence first.
        other: name of the sequence that costs more to pad, such as the target of a translation.
            Where it is not there, batches are alike in the main one.
    """

    def __init__(self, columns: dict, other: str) -> None:
        super().__init__(columns)
        self._other = other if other in self.columns else None

    def epoch(self, batch_size: int, seed: int, epoch: int) -> list[Batch]:
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(len(self))
        pool = batch_size * _BATCHES_IN_POOL
        batches: list[Batch] = []
        for start in range(0, len(order), pool):
            batches += self._cut(self._ordered(order[start : start + pool]), batch_size)
        return [batches[i] for i in random.permutation(len(batches))]

    def sweep(self, batch_size: int) -> list[Batch]:
        longest_first = np.argsort(-self.lengths, kind="stable")
        return self._cut(longest_first, batch_size)

    def _ordered(self, rows: np.ndarray) -> np.ndarray:
        own = self.lengths[rows]
        if self._other is None:
            return rows[np.argsort(own, kind="stable")]
        return rows[np.lexsort((own, self._lengths_of(self._other)[rows]))]

    def _cut(self, order: np.ndarray, batch_size: int) -> list[Batch]:
        parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        padded = self._buckets[str(self._main)].padded(self.lengths)
        return [Batch(part, int(padded[part].max())) for part in parts]

    @cached_property
    def _buckets(self) -> dict[str, LengthBuckets]:
        return {
            name: LengthBuckets.up_to(
                int(column.lengths.max(initial=1)),
                shortest=_MULTIPLE,
                ratio=1.0,
                multiple=_MULTIPLE,
            )
            for name, column in self.columns.items()
            if column.lengths is not None
        }
