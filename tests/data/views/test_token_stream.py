"""Files of tokens as windows whose state is carried from one to the next."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from apps.data import Batch, Sequences, TokenStream, dataset
from apps.data.views.pipeline import Elements

START = 1000
LENGTHS = (5, 0, 1, 17, 4, 8, 0, 30)
SIZES = (1, 2, 3, 7, 50)
WINDOWS = (1, 4, 100)


def arrays(elements: Elements) -> Iterator[dict[str, np.ndarray]]:
    """The elements of a pipeline as arrays."""
    for element in elements:
        yield {name: tensor.numpy() for name, tensor in element.items()}


def stream_of(*lengths: int, window: int = 4) -> TokenStream:
    """Files each token of which tells file and place."""
    files = [100 * number + np.arange(length) for number, length in enumerate(lengths, 1)]
    return TokenStream(Sequences.from_rows(files), window, start_id=START)


def predicted(view: TokenStream, batches: list[Batch]) -> list[int]:
    """All tokens that are to be predicted, each checked with the one before it."""
    found: list[int] = []
    for batch in batches:
        arrays = view.fetch(batch)
        for row, length in enumerate(arrays["lengths"]):
            for token, before in zip(
                arrays["target"][row, :length], arrays["ids"][row, :length], strict=True
            ):
                assert before == (START if token % 100 == 0 else token - 1)
                found.append(int(token))
    return found


def every_token(view: TokenStream) -> list[int]:
    return sorted(view.files.values.tolist())


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_every_token_is_predicted_once_the_first_from_the_start_id(window: int, size: int) -> None:
    view = stream_of(*LENGTHS, window=window)
    for batches in (view.epoch(size, 0, 0), view.sweep(size)):
        assert sorted(predicted(view, batches)) == every_token(view)


@pytest.mark.parametrize("window", WINDOWS)
def test_units_are_windows_of_files(window: int) -> None:
    view = stream_of(*LENGTHS, window=window)
    expected = [
        (file, min(window, length - start))
        for file, length in enumerate(LENGTHS)
        for start in range(0, length, window)
    ]
    assert list(zip(view.blocks, view.lengths, strict=True)) == expected
    assert len(view) == len(expected)
    assert view.carries_state


def units_in(batches: list[Batch]) -> list[int]:
    return sorted(int(unit) for batch in batches for unit in batch.rows if unit >= 0)


@pytest.mark.parametrize("size", SIZES)
def test_an_epoch_is_streams_side_by_side(size: int) -> None:
    view = stream_of(*LENGTHS)
    batches = view.epoch(size, seed=3, epoch=1)
    assert units_in(batches) == list(range(len(view)))
    assert len(batches) == view.steps(size) == -(-len(view) // size)
    assert all(len(batch.rows) == size and batch.length == view.window for batch in batches)
    files = view.blocks
    first = {int(np.flatnonzero(files == file)[0]) for file in set(files)}
    for number, batch in enumerate(batches):
        assert batch.begins is not None
        for row, unit in enumerate(batch.rows):
            if unit < 0:
                continue
            # A row goes on where the same row of the batch before ended, or begins.
            assert batch.begins[row] == (number == 0 or int(unit) in first)
            if not batch.begins[row]:
                before = batches[number - 1].rows[row]
                assert (unit, files[unit]) == (before + 1, files[before])


def test_rows_for_which_nothing_is_left_are_empty() -> None:
    view = stream_of(5, 4, window=2)
    batches = view.epoch(3, 0, 0)
    assert [list(batch.rows >= 0) for batch in batches] == [[True, True, True], [True, True, False]]
    arrays = view.fetch(batches[-1])
    assert arrays["lengths"][2] == 0
    assert not arrays["target"][2].any()
    crowded = view.epoch(9, 0, 0)
    assert len(crowded) == 1
    assert (view.fetch(crowded[0])["lengths"] > 0).sum() == len(view)


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    view = stream_of(*LENGTHS)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(unit) for batch in view.epoch(2, seed, epoch) for unit in batch.rows]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


@pytest.mark.parametrize("size", SIZES)
def test_a_sweep_reads_every_file_in_a_row_of_its_own(size: int) -> None:
    view = stream_of(*LENGTHS)
    rows: list[list[int]] = []
    batches = view.sweep(size)
    assert units_in(batches) == list(range(len(view)))
    for batch in batches:
        assert batch.begins is not None
        if batch.begins.all():
            rows += [[] for _ in batch.rows]
            current = rows[-len(batch.rows) :]
        else:
            assert not batch.begins.any()
        for row, unit in zip(current, batch.rows, strict=True):
            row.append(int(unit))
    read = [[unit for unit in row if unit >= 0] for row in rows]
    files = [np.flatnonzero(view.blocks == file).tolist() for file in set(view.blocks)]
    assert sorted(read) == sorted(files)
    # The longest come first, so that memory runs out at once or never.
    assert [len(row) for row in read] == sorted(map(len, files), reverse=True)


def test_files_without_a_token_make_no_batches() -> None:
    for view in (stream_of(0, 0), stream_of()):
        assert len(view) == 0
        assert view.sweep(4) == view.epoch(4, 0, 0) == []


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="window=0"):
        stream_of(5, window=0)


def test_the_pipeline_carries_the_batches_as_they_are_described() -> None:
    view = stream_of(*LENGTHS)
    batches = view.epoch(3, 0, 0)
    elements = dataset(view, batches)
    spec = {name: (tuple(t.shape), t.dtype.name) for name, t in elements.element_spec.items()}
    assert spec == {
        "ids": ((None, 4), "int32"),
        "target": ((None, 4), "int32"),
        "lengths": ((None,), "int32"),
        "begins": ((None,), "bool"),
    }
    for element, batch in zip(arrays(elements), batches, strict=True):
        expected = view.fetch(batch)
        assert all(np.array_equal(element[name], expected[name]) for name in expected)


def test_windows_of_each_epoch_begin_elsewhere() -> None:
    files = [100 * number + np.arange(length) for number, length in enumerate((90, 3, 60), 1)]
    view = TokenStream(Sequences.from_rows(files), 20, START, varied=True)
    epochs = [view.epoch(4, 0, number) for number in range(12)]
    for batches in epochs:
        assert sorted(predicted(view, batches)) == every_token(view)
        assert len({batch.length for batch in batches}) == 1
    lengths = {batches[0].length for batches in epochs}
    assert len(lengths) > 2
    assert lengths <= {16, 17, 18, 19, 20}
    again = view.epoch(4, 0, 3)
    assert [batch.rows.tolist() for batch in again] == [b.rows.tolist() for b in epochs[3]]
    assert sorted(predicted(view, view.sweep(4))) == every_token(view)


def test_further_columns_stand_beside_their_units() -> None:
    files = Sequences.from_rows([np.arange(9), np.arange(3)])
    view = TokenStream(files, 4, START, columns={"unit": np.arange(4), "pair": np.ones((4, 2))})
    for elements in arrays(dataset(view, view.sweep(2))):
        assert elements["pair"].shape == (2, 2)
        real = elements["lengths"] > 0
        starts = elements["target"][real, 0]
        expected = {0: 0, 4: 1, 8: 2}
        for unit, start, length in zip(
            elements["unit"][real], starts, elements["lengths"][real], strict=True
        ):
            assert unit == (3 if length == 3 else expected[int(start)])


def test_no_more_files_are_measured_at_a_time_than_asked_for() -> None:
    files = [100 * number + np.arange(length) for number, length in enumerate(LENGTHS, 1)]
    view = TokenStream(Sequences.from_rows(files), 4, START, most_rows=2)
    assert {len(batch.rows) for batch in view.sweep(64)} == {2}
    assert sorted(predicted(view, view.sweep(64))) == every_token(view)
