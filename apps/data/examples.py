"""Validated examples: columns of equal length, each row knowing the place it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Examples:
    """Rows of a data source, column by column.

    Attributes:
        columns: column name to its values, all of one length.
        places: where each row stands, ready for a message: `"reviews.csv row 17"`.
        source: what the rows were read from, ready for a message.
    """

    columns: Mapping[str, Sequence[Any]]
    places: Sequence[str]
    source: str

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, column: str) -> Sequence[Any]:
        return self.columns[column]

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def select(self, rows: Sequence[int] | np.ndarray) -> Examples:
        """The examples of the given row numbers, in that order."""
        columns = {name: [values[i] for i in rows] for name, values in self.columns.items()}
        return Examples(columns, [self.places[i] for i in rows], self.source)
