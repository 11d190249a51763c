"""Batches of rows of like length."""

import numpy as np
import pytest

from apps.data import LengthBuckets, epoch_batches, sorted_batches


@pytest.fixture(params=[1, 31, 1000, 20_000])
def lengths(request):
    """Lengths as those of reviews: most of them middling, a few very long, some 0."""
    random = np.random.default_rng(request.param)
    drawn = np.minimum(random.lognormal(5, 0.8, request.param).astype(np.int64), 1000)
    drawn[:: max(7, len(drawn) // 5)] = 0
    return drawn


def same(one, other):
    return len(one) == len(other) and all(
        a.length == b.length and np.array_equal(a.rows, b.rows)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("batch_size", [1, 32, 4096])
def test_every_row_once_and_room_for_all_of_it(lengths, batch_size):
    for batches in (epoch_batches(lengths, batch_size, 0, 0), sorted_batches(lengths, batch_size)):
        rows = np.concatenate([batch.rows for batch in batches])
        assert np.array_equal(np.sort(rows), np.arange(len(lengths)))
        assert all(lengths[batch.rows].max() <= batch.length for batch in batches)
        sizes = sorted(len(batch.rows) for batch in batches)
        assert len(batches) == -(-len(lengths) // batch_size)
        assert set(sizes[1:]) <= {batch_size}


def test_an_epoch_is_a_function_of_seed_and_number(lengths):
    first = epoch_batches(lengths, 32, seed=5, epoch=3)
    assert same(first, epoch_batches(lengths, 32, seed=5, epoch=3))
    if len(lengths) > 1:
        assert not same(first, epoch_batches(lengths, 32, seed=5, epoch=4))
        assert not same(first, epoch_batches(lengths, 32, seed=6, epoch=3))


def test_rows_meet_other_rows_in_another_epoch():
    lengths = np.random.default_rng(0).integers(50, 100, 500)
    epochs = [epoch_batches(lengths, 10, 0, epoch) for epoch in (0, 1)]
    first, second = ({frozenset(batch.rows) for batch in batches} for batches in epochs)
    assert not first & second


def test_lengths_come_in_no_order():
    lengths = np.random.default_rng(0).integers(1, 1000, 6400)
    padded = np.array([batch.length for batch in epoch_batches(lengths, 32, 0, 0)])
    assert abs(np.corrcoef(padded[:-1], padded[1:])[0, 1]) < 0.2


def test_few_shapes_and_little_padding():
    random = np.random.default_rng(0)
    lengths = np.minimum(random.lognormal(5, 0.8, 20_000).astype(np.int64) + 1, 1000)
    batches = [batch for epoch in range(3) for batch in epoch_batches(lengths, 32, 0, epoch)]
    assert len({batch.length for batch in batches}) <= 20
    assert len({(len(batch.rows), batch.length) for batch in batches}) <= 25
    steps = sum(len(batch.rows) * batch.length for batch in batches)
    assert 1 - 3 * lengths.sum() / steps < 0.15
    shuffled = lengths.reshape(-1, 32)
    assert 1 - shuffled.sum() / (32 * shuffled.max(axis=1).sum()) > 0.5


def test_sorted_batches_of_known_lengths():
    batches = sorted_batches(np.array([1, 3, 8]), 2)
    assert [(list(batch.rows), batch.length) for batch in batches] == [([2, 1], 8), ([0], 8)]


def test_no_rows_make_no_batches():
    assert epoch_batches(np.zeros(0, np.int64), 32, 0, 0) == []
    assert sorted_batches(np.zeros(0, np.int64), 32) == []


def test_sorted_batches_begin_with_the_longest_rows(lengths):
    tops = [batch.length for batch in sorted_batches(lengths, 16)]
    assert tops == sorted(tops, reverse=True)


@pytest.mark.parametrize("longest", [0, 1, 8, 16, 17, 100, 399, 400, 5000])
def test_boundaries_are_few_and_hold_the_longest(longest):
    buckets = LengthBuckets.up_to(longest)
    boundaries = np.array(buckets.boundaries)
    assert (boundaries % 8 == 0).all()
    assert (np.diff(boundaries) > 0).all()
    assert longest <= boundaries[-1] < longest + 8 or longest == 0
    assert (boundaries[1:] <= 1.25 * boundaries[:-1] + 4).all()
    lengths = np.arange(longest + 1)
    padded = buckets.padded(lengths)
    assert (padded >= lengths).all()
    assert set(padded) <= set(buckets.boundaries)
    assert np.array_equal(buckets.padded(boundaries), boundaries)
