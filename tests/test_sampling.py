"""Samples of rows: all where they fit, within the limit where they do not, the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from apps.sampling import joined, rows_within, with_each_label


def test_all_rows_in_order_where_they_fit() -> None:
    np.testing.assert_array_equal(rows_within(np.array([3, 0, 4]), 7, seed=1), [0, 1, 2])
    assert len(rows_within(np.zeros(0, np.int64), 7, seed=1)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_draw_stays_within_the_limit_and_uses_most_of_it(seed: int) -> None:
    sizes = np.random.default_rng(9).integers(0, 20, 1000)
    rows = rows_within(sizes, 500, seed)
    assert 480 < sizes[rows].sum() <= 500
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, rows_within(sizes, 500, seed))
    assert set(rows) != set(rows_within(sizes, 500, seed + 1))


def test_one_row_at_least() -> None:
    assert len(rows_within(np.array([50, 60]), 7, seed=0)) == 1


def test_joined_rows_are_those_rows_end_to_end() -> None:
    ids, offsets = np.arange(10), np.array([0, 3, 3, 7, 10])
    chosen, ends = joined(ids, offsets, np.array([3, 1, 0]))
    assert chosen.tolist() == [7, 8, 9, 0, 1, 2]
    assert ends.tolist() == [0, 3, 3, 6]
    assert joined(ids, offsets, np.arange(4))[0] is ids


def test_a_label_that_the_draw_missed_comes_in() -> None:
    rows = with_each_label(np.array([1, 4]), ["a", "a", "b", "b", "a"])
    assert rows.tolist() == [1, 2, 4]
