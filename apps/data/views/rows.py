"""Rows as units: each has tensors of its own lengths and shares batches with similar lengths."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

import numpy as np

from apps.data.sequences import Stored, stored
from apps.data.views.buckets import Batch, LengthBuckets, epoch_batches, sorted_batches
from apps.data.views.view import ArraySpec, View

LENGTHS = "lengths"


class Rows(View):
    """Rows whose columns are sequences, arrays or made on demand.

    The first sequence is the main one: rows where it has a similar length share a batch, and its
    lengths become the array `lengths`. Any other sequence `NAME` has its own lengths in the array
    `NAME_lengths`, unless it is aligned.

    Args:
        columns: name to column; all have the same number of rows.
        aligned: sequences with one entry for each step of the main one, padded like it.

    Raises:
        ValueError: the columns differ in rows, or an aligned one in lengths.
    """

    def __init__(
        self, columns: Mapping[str, Stored | np.ndarray], aligned: Collection[str] = ()
    ) -> None:
        self.columns = {name: stored(column) for name, column in columns.items()}
        self._count = len(next(iter(self.columns.values())))
        for name, column in self.columns.items():
            if len(column) != self._count:
                raise ValueError(f"'{name}' has {len(column)} rows, not {self._count}")
        own = [name for name, column in self.columns.items() if column.lengths is not None]
        self._main = own[0] if own else None
        self._aligned = {self._main, *aligned}
        for name in aligned:
            if not np.array_equal(self._lengths_of(name), self.lengths):
                raise ValueError(f"the lengths of '{name}' differ from those of '{self._main}'")

    def __len__(self) -> int:
        return self._count

    @cached_property
    def lengths(self) -> np.ndarray:
        if self._main is None:
            return np.ones(self._count, np.int64)
        return self._lengths_of(self._main)

    def specs(self) -> dict[str, ArraySpec]:
        found = {}
        for name, column in self.columns.items():
            steps = () if column.lengths is None else (None,)
            found[name] = ArraySpec(column.dtype, (None, *steps, *column.shape))
            if column.lengths is not None and (own := self._name_of_lengths(name)):
                found[own] = ArraySpec(np.dtype(np.int32), (None,))
        return found

    def epoch(self, batch_size: int, seed: int, epoch: int) -> list[Batch]:
        return epoch_batches(self.lengths, batch_size, seed=seed, epoch=epoch)

    def sweep(self, batch_size: int) -> list[Batch]:
        return sorted_batches(self.lengths, batch_size)

    def fetch(self, batch: Batch) -> dict[str, np.ndarray]:
        rows, arrays = batch.rows, {}
        for name, column in self.columns.items():
            if column.lengths is None:
                arrays[name] = column.fetch(rows, 0)
                continue
            lengths, length = column.lengths[rows], batch.length
            if name not in self._aligned:
                length = int(self._buckets[name].padded(lengths).max(initial=1))
            arrays[name] = column.fetch(rows, length)
            if own := self._name_of_lengths(name):
                arrays[own] = np.minimum(lengths, length).astype(np.int32)
        return arrays

    def select(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some rows, padded to the longest of them."""
        return self.fetch(Batch(rows, int(self.lengths[rows].max(initial=1))))

    @cached_property
    def _buckets(self) -> dict[str, LengthBuckets]:
        return {
            name: LengthBuckets.up_to(int(column.lengths.max(initial=1)))
            for name, column in self.columns.items()
            if column.lengths is not None
        }

    def _name_of_lengths(self, name: str) -> str | None:
        if name == self._main:
            return LENGTHS
        return None if name in self._aligned else f"{name}_{LENGTHS}"

    def _lengths_of(self, name: str) -> np.ndarray:
        lengths = self.columns[name].lengths
        if lengths is None:
            raise ValueError(f"'{name}' is not a sequence")
        return lengths
