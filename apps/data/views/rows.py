"""Rows as units: each has tensors of its own lengths and shares batches with similar lengths."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from apps.data.sequences import Stored, stored
from apps.data.views.buckets import Batch, LengthBuckets, epoch_batches, sorted_batches
from apps.data.views.view import ArraySpec, View

LENGTHS = "lengths"
# Sentences have a dozen steps, of which the usual padding would add half as many.
_FINE: Mapping[str, Any] = {"shortest": 2, "ratio": 1.0, "multiple": 2}


class Rows(View):
    """Rows whose columns are sequences, arrays or made on demand.

    The first sequence is the main one: rows where it has a similar length share a batch, and its
    lengths become the array `lengths`. Any other sequence `NAME` has its own lengths in the array
    `NAME_lengths`, unless it is aligned.

    Args:
        columns: name to column; all have the same number of rows.
        aligned: sequences with one entry for each step of the main one, padded like it.
        alike: another sequence that costs more to pad, such as the target of a translation: rows
            where it has a similar length share a batch, then those where the main one has, and both
            are padded little. Without a column of that name it says nothing.

    Raises:
        ValueError: the columns differ in rows, or an aligned one in lengths.
    """

    def __init__(
        self,
        columns: Mapping[str, Stored | np.ndarray],
        aligned: Collection[str] = (),
        *,
        alike: str = "",
    ) -> None:
        self.columns = {name: stored(column) for name, column in columns.items()}
        self._count = len(next(iter(self.columns.values())))
        for name, column in self.columns.items():
            if len(column) != self._count:
                raise ValueError(f"'{name}' has {len(column)} rows, not {self._count}")
        own = [name for name, column in self.columns.items() if column.lengths is not None]
        self._main = own[0] if own else None
        self._aligned = {self._main, *aligned}
        self._alike = alike
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
        first = self._lengths_of(self._alike) if self._alike in self.columns else None
        return epoch_batches(
            self.lengths, batch_size, seed, epoch, buckets=self._main_buckets, first=first
        )

    def sweep(self, batch_size: int) -> list[Batch]:
        return sorted_batches(self.lengths, batch_size, buckets=self._main_buckets)

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

    @property
    def _main_buckets(self) -> LengthBuckets | None:
        return self._buckets[self._main] if self._main else None

    @cached_property
    def _buckets(self) -> dict[str, LengthBuckets]:
        steps = _FINE if self._alike else {}
        return {
            name: LengthBuckets.up_to(int(column.lengths.max(initial=1)), **steps)
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
