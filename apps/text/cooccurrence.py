"""Word vectors from the training texts themselves, to initialise an embedding."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd


def cooccurrence_vectors(
    ids: np.ndarray,
    offsets: np.ndarray,
    size: int,
    dimension: int,
    *,
    first_id: int,
    seed: int,
    window: int = 5,
) -> np.ndarray:
    """Word vectors from co-occurrence counts, by a truncated SVD.

    Factorises the positive pointwise mutual information of words within a window. Context counts
    are smoothed by the power 0.75; neighbours at distance `k` count `1 / k` (Levy, Goldberg & Dagan
    2015, "Improving distributional similarity with lessons learned from word embeddings", sections
    2.1 and 3).

    Args:
        ids: `(words,)` int32, word ids of all texts end to end.
        offsets: `(texts + 1,)` int64.
        size: number of distinct ids.
        dimension: width of a vector.
        first_id: ids below it (padding, unknown words) get no vector.
        seed: seeds the SVD's random start.
        window: largest distance of two words, in words.

    Returns:
        `(size, dimension)` float32; rows have length 1, or 0 where a word has no neighbours.
    """
    counts = _counts(ids.astype(np.int64), offsets, size, first_id, window)
    totals = np.asarray(counts.sum(1)).ravel()
    smoothed = totals**0.75
    expected = totals[counts.row] * smoothed[counts.col] / max(smoothed.sum(), 1.0)
    information = np.log(counts.data / expected)
    kept = information > 0
    matrix = sparse.csr_matrix(
        (information[kept], (counts.row[kept], counts.col[kept])), shape=(size, size)
    )
    rank = min(dimension, size - 1)
    left, singular, _ = randomized_svd(matrix, rank, n_iter=2, random_state=seed)
    vectors = np.zeros((size, dimension), np.float32)
    vectors[:, :rank] = left * np.sqrt(singular)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, vectors / np.maximum(lengths, 1e-6), 0.0).astype(np.float32)


def _counts(
    ids: np.ndarray, offsets: np.ndarray, size: int, first_id: int, window: int
) -> sparse.coo_matrix:
    """Weighted counts of neighbours `(size, size)`, symmetric, never across two texts."""
    text = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    counts = sparse.csr_matrix((size, size), dtype=np.float64)
    for distance in range(1, window + 1):
        left, right = ids[:-distance], ids[distance:]
        kept = (text[:-distance] == text[distance:]) & (left >= first_id) & (right >= first_id)
        pairs, times = np.unique(left[kept] * size + right[kept], return_counts=True)
        counts = counts + sparse.csr_matrix(
            (times / distance, (pairs // size, pairs % size)), shape=(size, size)
        )
    return (counts + counts.T).tocoo()
