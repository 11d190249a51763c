"""Word vectors by the texts in which words occur."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from apps.text import latent_semantics
from apps.text.latent_semantics import document_vectors

FIRST, END, SIZE = 2, 2, 24


def texts(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two topics of ten words each, never in one text; id 23 is in all of them, 2 ends a line."""
    draw = np.random.default_rng(seed)
    rows = []
    for topic in draw.integers(2, size=count):
        words = draw.integers(3 + 10 * topic, 13 + 10 * topic, 12)
        rows.append([*np.insert(words, 6, 23), END])
    return np.concatenate(rows).astype(np.int32), np.arange(count + 1) * 14


def learnt(ids: np.ndarray, offsets: np.ndarray, width: int = 2) -> np.ndarray:
    return document_vectors(ids, offsets, SIZE, width, first_id=FIRST, line_ends=[END], seed=0)


def cosines(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-9)
    return unit @ unit.T


def assert_topics_differ(vectors: np.ndarray) -> None:
    near = cosines(vectors)
    assert near[3:13, 3:13].min() > 0.8
    assert near[13:23, 13:23].min() > 0.8
    assert near[3:13, 13:23].max() < 0.5


def test_words_of_the_same_texts_are_near_and_frequent_ones_are_short() -> None:
    vectors = learnt(*texts(0))
    assert_topics_differ(vectors)
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths[0] == lengths[1] == 0
    assert 0 < lengths[23] < lengths[3:23].min() < lengths[3:23].max() < 1
    ids, offsets = texts(0)
    np.testing.assert_array_equal(vectors, learnt(ids, offsets))
    np.testing.assert_array_equal(ids, texts(0)[0])


def test_they_are_those_of_scikit_learn() -> None:
    ids, offsets = texts(1)
    rows = [" ".join(map(str, ids[a:b])) for a, b in itertools.pairwise(offsets)]
    tfidf = TfidfVectorizer(
        vocabulary=[str(word) for word in range(SIZE)], sublinear_tf=True, token_pattern=r"\d+"
    )
    found = TruncatedSVD(2, n_iter=3, random_state=0).fit(tfidf.fit_transform(rows))
    expected = cosines(found.components_.T * found.singular_values_)
    np.testing.assert_allclose(cosines(learnt(ids, offsets)), expected, atol=1e-4)


def test_the_lines_of_one_long_text_are_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_semantics, "_LEAST", 10)
    ids, offsets = texts(0)
    one = np.array([0, len(ids)])
    np.testing.assert_array_equal(learnt(ids, one), learnt(ids, offsets))
    # Without line ends its parts hold both topics.
    endless = np.where(ids == END, 23, ids).astype(np.int32)
    assert cosines(learnt(endless, one))[3:13, 13:23].max() > 0.5


@pytest.mark.parametrize(
    ("ids", "offsets"), [([], [0]), ([1, 1], [0, 2]), ([3], [0, 1]), ([3, 4, 3], [0, 2, 3])]
)
def test_next_to_nothing_has_vectors_too(ids: list[int], offsets: list[int]) -> None:
    vectors = learnt(np.array(ids, np.int32), np.array(offsets), width=8)
    assert vectors.shape == (SIZE, 8)
    assert np.isfinite(vectors).all()


def test_of_many_texts_some_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_semantics, "_MOST_TOKENS", 14 * 100)
    assert_topics_differ(learnt(*texts(0)))
