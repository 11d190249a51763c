"""Columns of tensors, one entry per row: sequences of unequal length, arrays, lazy rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np

from apps.data.spool import Spool


class Stored(Protocol):
    """A column whose rows become the rows of a batch."""

    @property
    def lengths(self) -> np.ndarray | None:
        """`(rows,)` int64 in steps; None where every row has the same shape."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row; of a sequence, that of one step."""
        ...

    def __len__(self) -> int: ...

    def fetch(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Some rows, sequences padded with zeros or clipped to `length` steps.

        Args:
            rows: `(batch,)` row numbers.
            length: steps; ignored where every row has the same shape.

        Returns:
            `(batch, length, …)` or `(batch, …)`.
        """
        ...


@dataclass(frozen=True, eq=False)
class Sequences:
    """Rows of steps, end to end in one array; row `i` is `values[offsets[i]:offsets[i + 1]]`.

    25,000 reviews of 270 tokens take 27 MB. An hour of samples at 16 kHz takes 230 MB; much more
    than that is kept in a temporary file.

    Attributes:
        values: `(total, …)`; 64-bit integers and floats are kept in 32 bits.
        offsets: `(rows + 1,)` int64, rising from 0 to `total`.
    """

    values: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        narrow = {"f8": np.float32, "i8": np.int32}
        given = np.asarray(self.values)
        dtype = narrow.get(given.dtype.str[1:], given.dtype)
        object.__setattr__(self, "values", np.ascontiguousarray(given, dtype))
        object.__setattr__(self, "offsets", np.ascontiguousarray(self.offsets, np.int64))
        steps = np.diff(self.offsets)
        if not len(self.offsets) or self.offsets[0] != 0 or (steps < 0).any():
            raise ValueError("offsets must rise from 0")
        if self.offsets[-1] != len(self.values):
            raise ValueError(f"offsets end at {self.offsets[-1]}, values at {len(self.values)}")

    @classmethod
    def from_rows(
        cls, rows: Iterable[np.ndarray | list[Any]], dtype: np.typing.DTypeLike = np.int32
    ) -> Self:
        """Put rows end to end.

        Args:
            rows: each `(length, …)`, a length of 0 included; all steps have one shape.
            dtype: of the elements.

        Raises:
            UserError: the rows need more memory than allowed, and the temporary folder is full.
        """
        spool = Spool(dtype)
        for row in rows:
            spool.append(row)
        return cls(*spool.finish())

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[1:]

    @cached_property
    def lengths(self) -> np.ndarray:
        """`(rows,)` int64, in steps."""
        return np.diff(self.offsets)

    def fetch(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Some rows `(batch, length, …)`, right-padded with 0, longer ones clipped."""
        return _padded((self[row] for row in rows), len(rows), length, self)


@dataclass(frozen=True, eq=False)
class LazyRows:
    """Rows that are made when a batch needs them, by several threads at once.

    Attributes:
        get: gives a row by its number, `(length, …)` or of `shape`; called from several threads.
        count: rows.
        dtype: of the elements.
        shape: of a row; of a sequence, that of one step.
        lengths: `(rows,)` int64 in steps; None where every row has the same shape.
    """

    get: Callable[[int], np.ndarray]
    count: int
    dtype: np.dtype
    shape: tuple[int, ...]
    lengths: np.ndarray | None = None

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], dtype: np.typing.DTypeLike = np.float32) -> Self:
        """Rows of one shape, which a sequence makes when indexed."""
        first = np.asarray(rows[0]) if len(rows) else np.zeros(0)
        return cls(rows.__getitem__, len(rows), np.dtype(dtype), first.shape)

    def __len__(self) -> int:
        return self.count

    def fetch(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Some rows, `(batch, length, …)` padded with 0 and clipped, or `(batch, …)`."""
        made = (np.asarray(self.get(int(row)), self.dtype) for row in rows)
        if self.lengths is not None:
            return _padded(made, len(rows), length, self)
        batch = np.zeros((len(rows), *self.shape), self.dtype)
        for place, row in enumerate(made):
            batch[place] = row
        return batch


@dataclass(frozen=True, eq=False)
class Values:
    """Rows of one shape, all in memory.

    Attributes:
        array: `(rows, …)`.
    """

    array: np.ndarray
    lengths: None = None

    def __len__(self) -> int:
        return len(self.array)

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape[1:]

    def fetch(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Some rows `(batch, …)`."""
        return self.array[rows]


def stored(column: Stored | np.ndarray) -> Stored:
    """The column itself; an array is wrapped."""
    return Values(column) if isinstance(column, np.ndarray) else column


def fetched(columns: Mapping[str, Stored | np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some rows of each column, sequences padded to the longest of them."""
    found = {}
    for name, given in columns.items():
        column = stored(given)
        lengths = column.lengths
        longest = 0 if lengths is None else int(lengths[rows].max(initial=1))
        found[name] = column.fetch(rows, longest)
    return found


def _padded(
    rows: Iterable[np.ndarray], count: int, length: int, column: Sequences | LazyRows
) -> np.ndarray:
    padded = np.zeros((count, length, *column.shape), column.dtype)
    for target, row in zip(padded, rows, strict=True):
        part = row[:length]
        target[: len(part)] = part
    return padded
