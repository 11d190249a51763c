"""Rows of numbers as units in streams, by the rules of streams of tokens."""

from __future__ import annotations

import numpy as np
import pytest

from apps.data import Batch, RowStream, Sequences, TokenStream, dataset
from apps.data.sequences import LazyRows

ROWS = (5, 1, 17, 4, 8, 30)
SIZES = (1, 2, 3, 7, 50)
WINDOW = 4


def stream_of(*rows: int, window: int = WINDOW) -> RowStream:
    """Streams each value of which tells stream, row and channel; a further column has none."""
    units = [
        (stream, start, min(start + window, count))
        for stream, count in enumerate(rows, 1)
        for start in range(0, count, window)
    ]
    lengths = np.array([stop - start for _, start, stop in units], np.int64)

    def values(unit: int) -> np.ndarray:
        stream, start, stop = units[unit]
        return 1000.0 * stream + np.arange(start, stop)[:, None] + [0.0, 0.5]

    def numbers(unit: int) -> np.ndarray:
        _, start, stop = units[unit]
        return np.arange(start, stop)

    columns = {
        "series": LazyRows(values, len(units), np.dtype(np.float64), (2,), lengths),
        "row": LazyRows(numbers, len(units), np.dtype(np.int8), (), lengths),
    }
    begins = np.array([start == 0 for _, start, _ in units], bool)
    return RowStream(columns, begins, window)


def tokens_of(*rows: int) -> TokenStream:
    return TokenStream(Sequences.from_rows([np.arange(count) for count in rows]), WINDOW)


def read(view: RowStream, batches: list[Batch]) -> list[float]:
    """Every value that is not padding, each checked with the one before it in its row."""
    found: list[float] = []
    last: dict[int, float] = {}
    for batch in batches:
        arrays = view.fetch(batch)
        for row, length in enumerate(arrays["lengths"]):
            if not length:
                continue
            values = arrays["series"][row, :length]
            np.testing.assert_array_equal(values[:, 1], values[:, 0] + 0.5)
            np.testing.assert_array_equal(arrays["row"][row, :length], values[:, 0] % 1000)
            if arrays["begins"][row]:
                last.pop(row, None)
            else:
                assert values[0, 0] == last[row] + 1
            np.testing.assert_array_equal(np.diff(values[:, 0]), 1.0)
            last[row] = float(values[-1, 0])
            found += values[:, 0].tolist()
    return found


def every_value() -> list[float]:
    return [1000.0 * n + row for n, count in enumerate(ROWS, 1) for row in range(count)]


@pytest.mark.parametrize("size", SIZES)
def test_a_sweep_reads_every_row_once_and_streams_by_themselves(size: int) -> None:
    view = stream_of(*ROWS)
    batches = view.sweep(size)
    assert sorted(read(view, batches)) == every_value()
    streams: list[set[int]] = []
    for batch in batches:
        assert batch.begins is not None
        if batch.begins.all():
            streams = [set() for _ in batch.rows]
        for own, unit in zip(streams, batch.rows, strict=True):
            own |= {int(view.blocks[unit])} if unit >= 0 else set()
            assert len(own) <= 1


@pytest.mark.parametrize("size", SIZES)
def test_in_an_epoch_a_row_goes_on_where_it_ended_unless_it_begins(size: int) -> None:
    view = stream_of(*ROWS)
    batches = view.epoch(size, seed=3, epoch=1)
    assert sorted(read(view, batches)) == every_value()
    assert len(batches) == view.steps(size) == -(-len(view) // size)
    assert batches[0].begins is not None
    assert batches[0].begins.all()
    first = {0, *(np.flatnonzero(np.diff(view.blocks)) + 1).tolist()}
    for batch in batches[1:]:
        assert batch.begins is not None
        assert batch.begins.tolist() == [int(unit) in first for unit in batch.rows]


@pytest.mark.parametrize("size", SIZES)
def test_batches_are_those_of_streams_of_tokens(size: int) -> None:
    view, tokens = stream_of(*ROWS), tokens_of(*ROWS)
    assert len(view) == len(tokens)
    assert view.carries_state
    np.testing.assert_array_equal(view.lengths, tokens.lengths)
    np.testing.assert_array_equal(view.blocks, tokens.blocks)
    pairs = [
        (view.sweep(size), tokens.sweep(size)),
        (view.epoch(size, 5, 2), tokens.epoch(size, 5, 2)),
    ]
    for own, others in pairs:
        for one, other in zip(own, others, strict=True):
            assert one.length == other.length
            np.testing.assert_array_equal(one.rows, other.rows)
            np.testing.assert_array_equal(one.begins, other.begins)
            arrays, wanted = view.fetch(one), tokens.fetch(other)
            for name in ("lengths", "begins"):
                np.testing.assert_array_equal(arrays[name], wanted[name])


def test_units_are_padded_and_empty_rows_are_empty() -> None:
    view = stream_of(5, 2)
    arrays = view.fetch(Batch(np.array([1, -1, 2]), WINDOW, np.array([False, False, True])))
    assert arrays["lengths"].tolist() == [1, 0, 2]
    assert arrays["lengths"].dtype == np.int32
    assert arrays["begins"].tolist() == [False, False, True]
    assert arrays["series"].shape == (3, WINDOW, 2)
    assert arrays["series"][..., 0].tolist() == [[1004.0, 0, 0, 0], [0.0] * 4, [2000.0, 2001, 0, 0]]
    assert arrays["row"].tolist() == [[4, 0, 0, 0], [0] * 4, [0, 1, 0, 0]]


def test_the_pipeline_carries_the_batches_as_they_are_described() -> None:
    view = stream_of(*ROWS)
    batches = view.epoch(4, 0, 0)
    elements = dataset(view, batches)
    spec = {name: (tuple(t.shape), t.dtype.name) for name, t in elements.element_spec.items()}
    assert spec == {
        "series": ((None, WINDOW, 2), "float64"),
        "row": ((None, WINDOW), "int8"),
        "lengths": ((None,), "int32"),
        "begins": ((None,), "bool"),
    }
    for element, batch in zip(elements, batches, strict=True):
        for name, array in view.fetch(batch).items():
            np.testing.assert_array_equal(element[name], array)


def test_without_units_there_are_no_batches() -> None:
    view = stream_of()
    assert len(view) == 0
    assert view.sweep(4) == view.epoch(4, 0, 0) == []
