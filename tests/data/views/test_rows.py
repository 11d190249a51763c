"""Rows with tensors of their own lengths, the arrays of a batch, and the tf.data pipeline."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from apps.data import Batch, LazyRows, Rows, Sequences, View, dataset
from apps.data.views.pipeline import Elements
from apps.errors import UserError

IDS = [[3, 1, 2], [], [7], [5, 6, 7, 8, 9]]


def arrays(elements: Elements) -> Iterator[dict[str, np.ndarray]]:
    """The elements of a pipeline as arrays."""
    for element in elements:
        yield {name: tensor.numpy() for name, tensor in element.items()}


@pytest.fixture
def rows() -> Rows:
    """Two scores a row, and ids of which none is the padding."""
    random = np.random.default_rng(0)
    ids = [np.arange(1, n + 1) * (i + 1) for i, n in enumerate(random.integers(0, 60, 333))]
    return Rows({"ids": Sequences.from_rows(ids), "target": random.random((333, 2), np.float32)})


def pair(count: int = 50) -> tuple[Rows, list[np.ndarray], list[np.ndarray]]:
    """Rows with a source and a target, each with lengths of its own, and what they hold."""
    draw = np.random.default_rng(1)
    source = [draw.integers(1, 99, n) for n in draw.integers(0, 40, count)]
    target = [draw.integers(1, 99, (n, 2)) for n in draw.integers(0, 90, count)]
    columns = {"source": Sequences.from_rows(source), "target": Sequences.from_rows(target)}
    return Rows(columns), source, target


def test_a_batch_of_rows(rows: Rows) -> None:
    chosen = np.array([5, 0, 9])
    batch = rows.fetch(Batch(chosen, 20))
    assert set(batch) == {"ids", "target", "lengths"}
    assert np.array_equal(batch["lengths"], np.minimum(rows.lengths[chosen], 20))
    assert batch["lengths"].dtype == np.int32
    assert np.array_equal(batch["ids"], rows.columns["ids"].fetch(chosen, 20))
    assert np.array_equal(batch["target"], rows.columns["target"].fetch(chosen, 0))
    assert np.array_equal((batch["ids"] != 0).sum(axis=1), batch["lengths"])


def test_chosen_rows_are_padded_to_the_longest_of_them(rows: Rows) -> None:
    chosen = np.array([4, 8])
    batch = rows.select(chosen)
    assert batch["ids"].shape == (2, rows.lengths[chosen].max())
    assert np.array_equal(batch["lengths"], rows.lengths[chosen])


def test_columns_must_agree_in_number_and_aligned_ones_in_length() -> None:
    ids = Sequences.from_rows(IDS)
    with pytest.raises(ValueError, match="'target' has 3 rows, not 4"):
        Rows({"ids": ids, "target": np.zeros(3)})
    backwards = Sequences.from_rows(IDS[::-1])
    with pytest.raises(ValueError, match="the lengths of 'tags' differ from those of 'ids'"):
        Rows({"ids": ids, "tags": backwards}, aligned=["tags"])
    with pytest.raises(ValueError, match="'tags' is not a sequence"):
        Rows({"ids": ids, "tags": np.zeros(4)}, aligned=["tags"])


def test_aligned_sequences_are_padded_as_the_main_one_is_and_have_no_lengths() -> None:
    ids, tags = Sequences.from_rows(IDS), Sequences.from_rows([[-i for i in row] for row in IDS])
    rows = Rows({"ids": ids, "tags": tags}, aligned=["tags"])
    batch = rows.fetch(Batch(np.array([3, 0]), 4))
    assert set(batch) == set(rows.specs()) == {"ids", "lengths", "tags"}
    assert np.array_equal(batch["tags"], -batch["ids"])


def test_each_sequence_of_a_row_has_its_own_lengths() -> None:
    rows, source, target = pair()
    assert rows.lengths.tolist() == [len(one) for one in source]
    seen = []
    for batch in [*rows.epoch(8, 0, 0), *rows.sweep(16)]:
        arrays = rows.fetch(batch)
        assert set(arrays) == {"source", "lengths", "target", "target_lengths"}
        assert arrays["target_lengths"].dtype == np.int32
        for place, row in enumerate(batch.rows):
            for name, own, held in (
                ("source", "lengths", source),
                ("target", "target_lengths", target),
            ):
                length = arrays[own][place]
                assert length == len(held[row])
                assert np.array_equal(arrays[name][place, :length], held[row])
                assert not arrays[name][place, length:].any()
        seen.append(arrays["target"].shape[1])
    # Padded to a few lengths, since each is prepared for anew.
    assert len(set(seen)) <= 6 < len({len(one) for one in target})


def test_rows_without_a_sequence_are_all_of_length_one() -> None:
    rows = Rows(
        {"series": LazyRows.of([np.full((4, 2), i) for i in range(9)]), "target": np.arange(9)}
    )
    assert rows.lengths.tolist() == [1] * 9
    batch = rows.fetch(rows.sweep(9)[0])
    assert set(batch) == set(rows.specs()) == {"series", "target"}
    assert np.array_equal(batch["series"][:, 0, 0], batch["target"])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", "float32", "complex64"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_columns_of_any_type_and_rank_reach_tensorflow(dtype: Any, shape: tuple[int, ...]) -> None:
    lengths = np.array([2, 0, 4, 1, 3])
    held = [np.full((n, *shape), i + 1).astype(dtype) for i, n in enumerate(lengths)]
    view = Rows(
        {
            "sequence": Sequences.from_rows(held, dtype),
            "lazy": LazyRows(held.__getitem__, 5, np.dtype(dtype), shape, lengths),
            "whole": LazyRows.of([np.ones(shape, dtype)] * 5, dtype),
            "array": np.ones((5, *shape), dtype),
        }
    )
    batches = view.sweep(2)
    for batch, element in zip(batches, arrays(dataset(view, batches)), strict=True):
        assert np.array_equal(element["lengths"], lengths[batch.rows])
        assert np.array_equal(element["lazy_lengths"], lengths[batch.rows])
        for place, row in enumerate(batch.rows):
            for name in ("sequence", "lazy"):
                assert element[name].dtype == dtype
                assert np.array_equal(element[name][place, : lengths[row]], held[row])
        for name in ("whole", "array"):
            assert element[name].dtype == dtype
            assert element[name].shape == (len(batch.rows), *shape)


# The pipeline


def test_the_element_spec_leaves_batch_and_time_open() -> None:
    rows, _, _ = pair()
    spec = dataset(rows, rows.epoch(32, 0, 0)).element_spec
    assert {name: (tuple(one.shape), one.dtype.name) for name, one in spec.items()} == {
        "source": ((None, None), "int32"),
        "lengths": ((None,), "int32"),
        "target": ((None, None, 2), "int32"),
        "target_lengths": ((None,), "int32"),
    }
    described = {name: (one.shape, one.dtype.name) for name, one in rows.specs().items()}
    assert described == {name: (tuple(t.shape), t.dtype.name) for name, t in spec.items()}


@pytest.mark.parametrize("make", [lambda r: r.epoch(16, 1, 2), lambda r: r.sweep(64)])
def test_the_pipeline_gives_the_batches_in_their_order(
    rows: Rows, make: Callable[[Rows], list[Batch]]
) -> None:
    batches = make(rows)
    elements = list(arrays(dataset(rows, batches)))
    assert len(elements) == len(batches)
    for element, batch in zip(elements, batches, strict=True):
        expected = rows.fetch(batch)
        assert all(np.array_equal(element[name], expected[name]) for name in expected)


@pytest.mark.parametrize("start", [0, 4, 21])
def test_an_interrupted_epoch_goes_on_with_the_same_batches(rows: Rows, start: int) -> None:
    whole = list(arrays(dataset(rows, rows.epoch(16, 0, 0))))
    rest = list(arrays(dataset(rows, rows.epoch(16, 0, 0), start=start)))
    assert len(rest) == len(whole) - start
    for one, other in zip(rest, whole[start:], strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_what_a_user_is_at_fault_for_comes_out_as_it_went_in() -> None:
    def get(row: int) -> np.ndarray:
        if row == 5:
            raise UserError("clip.mp4 is damaged; remove it")
        return np.zeros(3, np.float32)

    view = Rows({"lazy": LazyRows(get, 8, np.dtype(np.float32), (3,))})
    elements = arrays(dataset(view, view.sweep(2)))
    assert [len(next(elements)["lazy"]) for _ in range(2)] == [2, 2]
    with pytest.raises(UserError, match=r"^clip\.mp4 is damaged; remove it$"):
        next(elements)


class Counted(View):
    """A view whose batches made ahead of the reader, and rows in memory, are counted.

    Args:
        count: rows of 1 MB.
    """

    def __init__(self, count: int) -> None:
        self.rows = Rows({"frames": LazyRows(self._make, count, np.dtype(np.uint8), (2**20,))})
        self.alive, self.most_alive, self.made = 0, 0, itertools.count()
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def _make(self, row: int) -> np.ndarray:
        frame = np.full(2**20, row % 251, np.uint8)
        with self._lock:
            self.alive += 1
            self.most_alive = max(self.most_alive, self.alive)
            self.threads.add(threading.get_ident())
        weakref.finalize(frame, self._gone)
        return frame

    def _gone(self) -> None:
        with self._lock:
            self.alive -= 1

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> np.ndarray:
        return self.rows.lengths

    def specs(self) -> dict[str, Any]:
        return self.rows.specs()

    def epoch(self, batch_size: int, seed: int, epoch: int) -> list[Batch]:
        return self.rows.epoch(batch_size, seed, epoch)

    def sweep(self, batch_size: int) -> list[Batch]:
        return self.rows.sweep(batch_size)

    def fetch(self, batch: Batch) -> dict[str, np.ndarray]:
        next(self.made)
        return self.rows.fetch(batch)


def test_ten_gigabytes_of_rows_are_never_in_memory_together() -> None:
    view = Counted(10_000)
    batches = view.epoch(8, 0, 0)
    assert len(batches) == 1250
    assert next(view.made) == 0, "nothing is made before it is asked for"
    for taken, (batch, element) in enumerate(zip(batches, dataset(view, batches), strict=False), 1):
        assert np.array_equal(element["frames"][:, -1], batch.rows % 251)
        # `next` itself counts one a turn.
        assert next(view.made) - 2 * taken <= 10, "batches made ahead of the reader"
        if taken == 60:
            break
    assert view.most_alive <= 16
    assert len(view.threads) > 1
