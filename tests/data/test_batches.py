"""Ragged rows in memory, prepared batches and the tf.data pipeline."""

import numpy as np
import pytest

from apps.data import Prepared, RaggedRows, dataset, epoch_batches, sorted_batches

ROWS = [[3, 1, 2], [], [7], [5, 6, 7, 8, 9]]


@pytest.fixture
def prepared():
    random = np.random.default_rng(0)
    rows = [np.arange(1, n + 1) * (i + 1) for i, n in enumerate(random.integers(0, 60, 333))]
    scores = random.random((333, 3), np.float32)
    return Prepared.of({"ids": RaggedRows.from_rows(rows)}, target=scores, weight=None)


def test_ragged_rows_hold_what_was_put_in():
    ragged = RaggedRows.from_rows(ROWS)
    assert [list(ragged[i]) for i in range(len(ragged))] == ROWS
    assert list(ragged.lengths) == [3, 0, 1, 5]
    assert (ragged.values.dtype, ragged.offsets.dtype) == (np.int32, np.int64)
    assert len(RaggedRows.from_rows([])) == 0


def test_ragged_rows_are_padded_and_clipped():
    fetched = RaggedRows.from_rows(ROWS).fetch(np.array([3, 1, 0]), 4)
    assert fetched.tolist() == [[5, 6, 7, 8], [0, 0, 0, 0], [3, 1, 2, 0]]
    assert fetched.dtype == np.int32


@pytest.mark.parametrize("offsets", [[], [1, 2], [0, 2, 1, 2], [0, 3]])
def test_offsets_that_do_not_fit_the_values(offsets):
    with pytest.raises(ValueError, match="offsets"):
        RaggedRows(np.array([1, 2]), np.array(offsets))


def test_a_batch_of_prepared_rows(prepared):
    rows = np.array([5, 0, 9])
    batch = prepared.fetch(rows, 20)
    assert set(batch) == {"ids", "target", "lengths"}
    assert np.array_equal(batch["lengths"], np.minimum(prepared.lengths[rows], 20))
    assert batch["lengths"].dtype == np.int32
    assert np.array_equal(batch["target"], prepared.values["target"][rows])
    assert np.array_equal((batch["ids"] != 0).sum(axis=1), batch["lengths"])


def test_prepared_rows_must_agree_in_number_and_length():
    ragged = RaggedRows.from_rows(ROWS)
    with pytest.raises(ValueError, match="'target' has 3 rows, not 4"):
        Prepared.of({"ids": ragged}, target=np.zeros(3))
    with pytest.raises(ValueError, match="the lengths of 'tags' differ"):
        Prepared.of({"ids": ragged, "tags": RaggedRows.from_rows(ROWS[::-1])})


def test_the_element_spec_leaves_batch_and_time_open(prepared):
    spec = dataset(prepared, epoch_batches(prepared.lengths, 32, 0, 0)).element_spec
    assert {name: tuple(tensor.shape) for name, tensor in spec.items()} == {
        "ids": (None, None),
        "target": (None, 3),
        "lengths": (None,),
    }
    assert {name: tensor.dtype.name for name, tensor in spec.items()} == {
        "ids": "int32",
        "target": "float32",
        "lengths": "int32",
    }


@pytest.mark.parametrize(
    "make", [lambda n: epoch_batches(n, 16, 1, 2), lambda n: sorted_batches(n, 64)]
)
def test_the_pipeline_gives_the_batches_in_their_order(prepared, make):
    batches = make(prepared.lengths)
    elements = list(dataset(prepared, batches).as_numpy_iterator())
    assert len(elements) == len(batches)
    for element, batch in zip(elements, batches, strict=True):
        expected = prepared.fetch(*batch)
        assert all(np.array_equal(element[name], expected[name]) for name in expected)


@pytest.mark.parametrize("start", [0, 4, 21])
def test_an_interrupted_epoch_goes_on_with_the_same_batches(prepared, start):
    batches = epoch_batches(prepared.lengths, 16, 0, 0)
    whole = list(dataset(prepared, batches).as_numpy_iterator())
    again = epoch_batches(prepared.lengths, 16, 0, 0)
    rest = list(dataset(prepared, again, start=start).as_numpy_iterator())
    assert len(rest) == len(whole) - start
    for one, other in zip(rest, whole[start:], strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
