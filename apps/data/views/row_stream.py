"""Rows of numbers as units of a few steps each, which follow one another in streams."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from apps.data.sequences import LazyRows
from apps.data.views.buckets import Batch
from apps.data.views.streams import Streams
from apps.data.views.view import ArraySpec


class RowStream(Streams):
    """Pieces of streams, each with sequences of one length.

    A batch holds the columns, `lengths` `(batch,)` int32, 0 in an empty row, and `begins`.

    Args:
        columns: sequences of equal lengths by name, a row for each unit.
        begins: `(units,)` bool, whether a stream begins with the unit.
        window: steps of a unit, at most.
    """

    def __init__(self, columns: Mapping[str, LazyRows], begins: np.ndarray, window: int) -> None:
        first = np.flatnonzero(begins)
        super().__init__(np.diff(np.append(first, len(begins))), window)
        self.columns = dict(columns)
        lengths = next(iter(self.columns.values())).lengths
        assert lengths is not None
        self._lengths = lengths

    @property
    def lengths(self) -> np.ndarray:
        return self._lengths

    def specs(self) -> dict[str, ArraySpec]:
        found = {
            name: ArraySpec(column.dtype, (None, self.window, *column.shape))
            for name, column in self.columns.items()
        }
        return {
            **found,
            "lengths": ArraySpec(np.dtype(np.int32), (None,)),
            "begins": ArraySpec(np.dtype(np.bool_), (None,)),
        }

    def fetch(self, batch: Batch) -> dict[str, np.ndarray]:
        real = np.flatnonzero(batch.rows >= 0)
        found = {}
        for name, column in self.columns.items():
            found[name] = np.zeros((len(batch.rows), self.window, *column.shape), column.dtype)
            found[name][real] = column.fetch(batch.rows[real], self.window)
        lengths = np.zeros(len(batch.rows), np.int32)
        lengths[real] = self._lengths[batch.rows[real]]
        assert batch.begins is not None
        return {**found, "lengths": lengths, "begins": batch.begins}
