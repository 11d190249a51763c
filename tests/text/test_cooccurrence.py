"""Word vectors from co-occurrence."""

from __future__ import annotations

import numpy as np
import pytest

from apps.text.cooccurrence import cooccurrence_vectors

FIRST = 2


def texts(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two topics of ten words each, never in one text; id 22 stands between in all of them."""
    draw = np.random.default_rng(seed)
    rows = [
        np.insert(draw.integers(FIRST + 10 * topic, FIRST + 10 * (topic + 1), 12), 6, 22)
        for topic in draw.integers(2, size=count)
    ]
    return np.concatenate(rows).astype(np.int32), np.arange(count + 1) * 13


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return cooccurrence_vectors(*texts(0), 24, 4, first_id=FIRST, seed=0)


def test_words_of_one_topic_are_near(vectors: np.ndarray) -> None:
    first, second = vectors[2:12], vectors[12:22]
    assert (first @ first.T).mean() > 0.5
    assert (second @ second.T).mean() > 0.5
    assert (first @ second.T).mean() < 0.1


def test_rows_are_of_length_one_or_nothing(vectors: np.ndarray) -> None:
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths[2:22], 1.0, atol=1e-5)
    np.testing.assert_array_equal(lengths[[0, 1, 23]], 0.0)  # padding, unknown, never seen


def test_same_seed_same_vectors(vectors: np.ndarray) -> None:
    again = cooccurrence_vectors(*texts(0), 24, 4, first_id=FIRST, seed=0)
    np.testing.assert_array_equal(again, vectors)


def test_neighbours_do_not_cross_texts() -> None:
    ids, offsets = texts(2, 60)
    split = cooccurrence_vectors(ids, offsets, 24, 4, first_id=FIRST, seed=0)
    joined = np.array([0, len(ids)])
    whole = cooccurrence_vectors(ids, joined, 24, 4, first_id=FIRST, seed=0)
    assert np.abs(split @ split.T - whole @ whole.T).max() > 0.01


def test_more_dimensions_than_words() -> None:
    vectors = cooccurrence_vectors(*texts(1, 5), 24, 64, first_id=FIRST, seed=0)
    assert vectors.shape == (24, 64)
    assert np.isfinite(vectors).all()
