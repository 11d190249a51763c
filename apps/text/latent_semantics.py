"""Word vectors from the texts in which words occur, which tell what a text is about."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from threadpoolctl import threadpool_limits

from apps import environment
from apps.sampling import joined, rows_within

# 25,000 reviews of 290 tokens, of which the decomposition takes 8 s.
_MOST_TOKENS = 8_000_000
# Tokens of a text that counts as one. Of a longer one, such as a book or a file of many texts, the
# lines count, or as many of them as have some tokens.
_MOST, _LEAST = 512, 64
_ITERATIONS = 3
# A word that is this share of all counts half. Of two sets of 9,600 sentences, n-grams and means of
# vectors together had a cross-entropy of 0.463 and 0.080 so; 0.466 and 0.083 with three times as
# much, 0.463 and 0.082 with a tenth.
_SHARE = 3e-4


def document_vectors(
    ids: np.ndarray,
    offsets: np.ndarray,
    size: int,
    dimension: int,
    *,
    first_id: int,
    line_ends: Sequence[int],
    seed: int,
) -> np.ndarray:
    """Word vectors by latent semantic analysis of counts of words by text.

    Deerwester et al. 1990, "Indexing by latent semantic analysis", of counts weighted by the
    inverse document frequency. Words that occur in the same texts, near one another or not, have
    like vectors: those of praise here, those of reproach there.

    Args:
        ids: `(words,)` int32, word ids of all texts end to end.
        offsets: `(texts + 1,)` int64.
        size: number of distinct ids.
        dimension: width of a vector.
        first_id: ids below it (padding, unknown words) get no vector.
        line_ends: ids of what ends a line; there a text of many is cut.
        seed: seeds the decomposition's random start.

    Returns:
        `(size, dimension)` float32; rows have length 1 where a word is rare, less the more often it
        occurs (Arora, Liang & Ma 2017, "A simple but tough-to-beat baseline for sentence
        embeddings", section 3), and 0 where it occurs in no text.
    """
    rows = rows_within(np.diff(offsets), _MOST_TOKENS, seed)
    ids, offsets = joined(ids, offsets, rows)
    ends = _parts(ids, offsets, line_ends)
    # Adding up duplicates sorts the ids where they lie.
    known = (ids >= first_id).astype(np.float32)
    counts = sparse.csr_matrix((known, ids.copy(), ends), shape=(len(ends) - 1, size))
    counts.sum_duplicates()
    counts.eliminate_zeros()
    vectors = np.zeros((size, dimension), np.float32)
    rank = min(dimension, *(side - 1 for side in counts.shape))
    if rank < 1 or not counts.nnz:
        return vectors
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    # Threads that wait for one another cost more than they bring where others use the cores.
    with threadpool_limits(1):
        found = TruncatedSVD(rank, n_iter=_ITERATIONS, random_state=seed).fit(weighted)
    environment.say(f"document vectors: {rank} dimensions, {len(ends) - 1:,} texts or parts")
    vectors[:, :rank] = found.components_.T * found.singular_values_
    lengths = np.linalg.norm(vectors, axis=1)
    share = np.bincount(ids, minlength=size) / len(ids)
    weights = _SHARE / (_SHARE + share) / np.maximum(lengths, 1e-6)
    return np.where(lengths > 1e-6, weights, 0.0)[:, None].astype(np.float32) * vectors


def _parts(ids: np.ndarray, offsets: np.ndarray, line_ends: Sequence[int]) -> np.ndarray:
    """Where texts and the parts of long ones begin, then the total."""
    lines = 1 + np.flatnonzero(np.isin(ids, line_ends))
    starts: list[int] = []
    for begin, end in itertools.pairwise(offsets.tolist()):
        if end - begin > _MOST:
            at = begin
            for line in lines[np.searchsorted(lines, begin) : np.searchsorted(lines, end)].tolist():
                if line - at >= _LEAST:
                    starts += range(at, line, _MOST)
                    at = line
            begin = at
        starts += range(begin, end, _MOST)
    return np.array([*starts, offsets[-1]], np.int64)
