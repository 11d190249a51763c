"""Word vectors from co-occurrence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.text import cooccurrence
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


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of tokens whose neighbours are counted from here on."""
    tokens: list[int] = []
    counts = cooccurrence._counts

    def counting(ids: np.ndarray, *rest: Any) -> Any:
        tokens.append(len(ids))
        return counts(ids, *rest)

    monkeypatch.setattr(cooccurrence, "_counts", counting)
    return tokens


def test_very_many_tokens_are_sampled(
    vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cooccurrence, "_MOST_TOKENS", 1300)
    tokens = counted(monkeypatch)
    some = cooccurrence_vectors(*texts(0), 24, 4, first_id=FIRST, seed=0)
    assert tokens == [1300]
    assert "word vectors from 1,300 of 5,200 tokens" in capsys.readouterr().err
    assert (some[2:12] @ some[12:22].T).mean() < 0.1 < (some[2:12] @ some[2:12].T).mean()
    again = cooccurrence_vectors(*texts(0), 24, 4, first_id=FIRST, seed=0)
    np.testing.assert_array_equal(again, some)


def test_all_tokens_up_to_the_limit(
    vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cooccurrence, "_MOST_TOKENS", 5200)
    same = cooccurrence_vectors(*texts(0), 24, 4, first_id=FIRST, seed=0)
    np.testing.assert_array_equal(same, vectors)
    assert capsys.readouterr().err == ""


def test_pairs_of_words_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.random.default_rng(0).integers(FIRST, 5000, 20_000).astype(np.int32)
    offsets = np.arange(0, 20_001, 20)
    monkeypatch.setattr(cooccurrence, "_MOST_PAIRS", 20_000)
    counts, used = cooccurrence._sampled_counts(ids, offsets, 5000, FIRST, 5, 0)
    assert 10_000 < counts.nnz <= 20_000
    assert used < len(ids)
