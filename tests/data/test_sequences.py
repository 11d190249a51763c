"""Columns of tensors: rows of unequal length, of any dtype and rank, held or made on demand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.data import LazyRows, Sequences
from apps.data.sequences import fetched
from apps.data.spool import Spool

ROWS = [[3, 1, 2], [], [7], [5, 6, 7, 8, 9]]
# Type of the elements, and shape of a step.
FORMS: list[tuple[Any, tuple[int, ...]]] = [
    (np.int32, ()),
    (np.uint8, (4, 3)),
    (np.bool_, (2,)),
    (np.float16, (3,)),
    (np.float32, ()),
    (np.complex64, (2,)),
]


def rows_of(dtype: Any, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Rows of unequal length, one of them empty, no element of which is padding."""
    draw = np.random.default_rng(0)
    return [draw.integers(1, 100, (n, *shape)).astype(dtype) for n in (3, 0, 1, 5)]


def test_sequences_hold_what_was_put_in() -> None:
    column = Sequences.from_rows(ROWS)
    assert [list(column[i]) for i in range(len(column))] == ROWS
    assert list(column.lengths) == [3, 0, 1, 5]
    assert (column.values.dtype, column.offsets.dtype) == (np.int32, np.int64)
    assert len(Sequences.from_rows([])) == 0


def test_sequences_are_padded_and_clipped() -> None:
    batch = Sequences.from_rows(ROWS).fetch(np.array([3, 1, 0]), 4)
    assert batch.tolist() == [[5, 6, 7, 8], [0, 0, 0, 0], [3, 1, 2, 0]]
    assert batch.dtype == np.int32


@pytest.mark.parametrize("offsets", [[], [1, 2], [0, 2, 1, 2], [0, 3]])
def test_offsets_that_do_not_fit_the_values(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        Sequences(np.array([1, 2]), np.array(offsets))


def test_sixty_four_bits_are_kept_in_thirty_two() -> None:
    offsets = np.array([0, 2])
    assert Sequences(np.array([1, 2], np.int64), offsets).dtype == np.int32
    assert Sequences(np.array([0.5, 2.0], np.float64), offsets).dtype == np.float32


@pytest.mark.parametrize(("dtype", "shape"), FORMS)
def test_steps_of_any_type_and_rank(dtype: Any, shape: tuple[int, ...]) -> None:
    rows = rows_of(dtype, shape)
    column = Sequences.from_rows(rows, dtype)
    assert (column.dtype, column.shape) == (dtype, shape)
    batch = column.fetch(np.array([3, 1, 0]), 4)
    assert (batch.shape, batch.dtype) == ((3, 4, *shape), dtype)
    np.testing.assert_array_equal(batch[0], rows[3][:4])
    np.testing.assert_array_equal(batch[2, :3], rows[0])
    assert not batch[1].any()
    assert not batch[2, 3:].any()


@pytest.mark.parametrize(("dtype", "shape"), FORMS)
def test_rows_that_go_to_the_disk_come_back(dtype: Any, shape: tuple[int, ...]) -> None:
    rows = rows_of(dtype, shape)
    spool = Spool(dtype, most_bytes=1)
    for row in rows:
        spool.append(row)
    column = Sequences(*spool.finish())
    assert (column.dtype, column.shape) == (dtype, shape)
    for number, row in enumerate(rows):
        np.testing.assert_array_equal(column[number], row)


@pytest.mark.parametrize(("dtype", "shape"), FORMS)
def test_rows_made_on_demand_are_those_that_are_held(dtype: Any, shape: tuple[int, ...]) -> None:
    rows = rows_of(dtype, shape)
    held = Sequences.from_rows(rows, dtype)
    lazy = LazyRows(rows.__getitem__, len(rows), np.dtype(dtype), shape, held.lengths)
    assert (len(lazy), lazy.dtype, lazy.shape) == (len(held), held.dtype, held.shape)
    for length in (2, 5, 8):
        chosen = np.array([3, 1, 3, 0])
        np.testing.assert_array_equal(lazy.fetch(chosen, length), held.fetch(chosen, length))


@pytest.mark.parametrize(("dtype", "shape"), FORMS)
def test_rows_of_one_shape_are_made_when_they_are_asked_for(
    dtype: Any, shape: tuple[int, ...]
) -> None:
    asked: list[int] = []

    class Made(list):
        def __getitem__(self, row: Any) -> Any:
            asked.append(row)
            return np.full((2, *shape), row + 1).astype(dtype)

    column = LazyRows.of(Made(range(9)), dtype)
    assert (len(column), column.dtype, column.shape) == (9, dtype, (2, *shape))
    assert column.lengths is None
    asked.clear()
    batch = column.fetch(np.array([8, 0]), 0)
    assert asked == [8, 0]
    expected = np.stack([np.full((2, *shape), n).astype(dtype) for n in (9, 1)])
    np.testing.assert_array_equal(batch, expected)
    assert batch.dtype == dtype


def test_a_row_of_another_shape_is_refused() -> None:
    column = LazyRows.of([np.zeros((2, 3)), np.zeros((3, 2))])
    with pytest.raises(ValueError, match="broadcast"):
        column.fetch(np.array([0, 1]), 0)


def test_columns_are_fetched_to_the_longest_of_the_rows() -> None:
    columns: dict[str, Any] = {
        "ids": Sequences.from_rows(ROWS),
        "target": np.arange(8).reshape(4, 2),
    }
    batch = fetched(columns, np.array([2, 0]))
    assert batch["ids"].tolist() == [[7, 0, 0], [3, 1, 2]]
    assert batch["target"].tolist() == [[4, 5], [0, 1]]
