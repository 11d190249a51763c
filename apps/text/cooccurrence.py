"""Word vectors from the training texts themselves, to initialise an embedding."""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from apps import environment
from apps.sampling import joined, rows_within

# 25,000 reviews of 270 tokens have 6.7 million, and 6.1 million pairs of neighbours.
_MOST_TOKENS = 8_000_000
_MOST_PAIRS = 9_000_000
_BLOCK = 1 << 20
# Directions beyond the rank that are drawn and dropped.
_SPARE = 10


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
    counts, used = _sampled_counts(ids, offsets, size, first_id, window, seed)
    if used < len(ids):
        environment.say(f"word vectors from {used:,} of {len(ids):,} tokens")
    matrix = _positive_information(counts + counts.T)
    rank = min(dimension, size - 1)
    left, singular = _left_singular(matrix, rank, seed)
    vectors = np.zeros((size, dimension), np.float32)
    vectors[:, :rank] = left * np.sqrt(singular)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, vectors / np.maximum(lengths, 1e-6), 0.0).astype(np.float32)


def _left_singular(
    matrix: sparse.csr_matrix, rank: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors `(rows, rank)` and singular values, by random projection.

    The steps are those of scikit-learn's `randomized_svd` with two iterations (Halko, Martinsson &
    Tropp 2011, section 4.4), but for the last: no right vectors are needed, and so the eigenvectors
    of a small square matrix take the place of the decomposition of a very wide one.
    """
    turned = matrix.T.tocsr()
    size = matrix.shape[1], rank + _SPARE
    # Threads that wait for one another cost more than they bring where others use the cores.
    with threadpool_limits(1):
        basis = np.random.RandomState(seed).normal(size=size)
        for _ in range(2):
            basis = turned @ (matrix @ basis)
        basis = linalg.qr(matrix @ basis, mode="economic", overwrite_a=True)[0]
        small = turned @ basis
        squares, turns = linalg.eigh(small.T @ small)
        squares, left = squares[::-1][:rank], basis @ turns[:, ::-1][:, :rank]
    # What is less is rounding, and would give words without neighbours a vector.
    squares = np.where(squares > 1e-12 * squares[0], squares, 0.0)
    largest = np.abs(left).argmax(0)
    return left * np.sign(left[largest, np.arange(len(largest))]), np.sqrt(squares)


def _sampled_counts(
    ids: np.ndarray, offsets: np.ndarray, size: int, first_id: int, window: int, seed: int
) -> tuple[sparse.csr_matrix, int]:
    """Counts of as many texts as the limits allow, and how many tokens these have."""
    lengths = np.diff(offsets)
    rows = rows_within(lengths, _MOST_TOKENS, seed)
    while True:
        counts = _counts(*joined(ids, offsets, rows), size, first_id, window)
        tokens = int(lengths[rows].sum())
        if counts.nnz <= _MOST_PAIRS or len(rows) == 1:
            return counts, tokens
        # Pairs grow more slowly than tokens, so a few rounds suffice.
        fewer = int(0.95 * tokens * _MOST_PAIRS / counts.nnz)
        rows = rows[rows_within(lengths[rows], fewer, seed)]


def _counts(
    ids: np.ndarray, offsets: np.ndarray, size: int, first_id: int, window: int
) -> sparse.csr_matrix:
    """Weighted counts of neighbours `(size, size)`, left word by right, never across two texts."""
    text = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    counts = sparse.csr_matrix((size, size), dtype=np.float64)
    for distance in range(1, window + 1):
        left, right = ids[:-distance], ids[distance:]
        kept = (text[:-distance] == text[distance:]) & (left >= first_id) & (right >= first_id)
        pairs, times = np.unique(
            left[kept].astype(np.int64) * size + right[kept], return_counts=True
        )
        counts = counts + sparse.csr_matrix(
            (times / distance, (pairs // size, pairs % size)), shape=(size, size)
        )
    return counts


def _positive_information(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Positive pointwise mutual information in place of symmetric counts `(size, size)`."""
    words = np.repeat(np.arange(counts.shape[0], dtype=np.int32), np.diff(counts.indptr))
    totals = np.asarray(sparse.coo_matrix((counts.data, (words, counts.indices))).sum(1)).ravel()
    smoothed = totals**0.75
    for start in range(0, counts.nnz, _BLOCK):
        part = slice(start, start + _BLOCK)
        expected = totals[words[part]] * smoothed[counts.indices[part]] / max(smoothed.sum(), 1.0)
        counts.data[part] = np.maximum(np.log(counts.data[part] / expected), 0.0)
    counts.eliminate_zeros()
    return counts
