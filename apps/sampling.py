"""Samples of rows, so that what is learnt before training has a bound in time and memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rows_within(sizes: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Row numbers whose sizes add up to no more than a limit: all rows where they do, else a draw.

    Args:
        sizes: `(rows,)` what each row takes, in whatever unit `most` is.
        most: limit of the sum.
        seed: seeds the draw; equal seeds give equal rows.

    Returns:
        `(chosen,)` int64, rising; at least one row if there are any.
    """
    rows = np.arange(len(sizes))
    if int(sizes.sum()) <= most:
        return rows
    order = np.random.default_rng(seed).permutation(len(sizes))
    taken = int(np.searchsorted(np.cumsum(sizes[order]), most, side="right"))
    return np.sort(order[: max(taken, 1)])


def with_each_label(rows: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """The rows, rising, and the first row of each label that none of them has."""
    present = {labels[row] for row in rows}
    first = {label: row for row, label in reversed(list(enumerate(labels))) if label not in present}
    return np.union1d(rows, list(first.values())).astype(np.int64)


def joined(ids: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of sequences that stand end to end.

    Args:
        ids: `(steps,)` all rows end to end.
        offsets: `(rows + 1,)` int64, where each begins, then the total.
        rows: `(chosen,)` row numbers.

    Returns:
        The same two arrays of the chosen rows; those given where every row is chosen in order.
    """
    if len(rows) == len(offsets) - 1 and np.array_equal(rows, np.arange(len(rows))):
        return ids, offsets
    lengths = np.diff(offsets)[rows]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    places = np.repeat(offsets[rows] - ends[:-1], lengths) + np.arange(ends[-1])
    return ids[places], ends
