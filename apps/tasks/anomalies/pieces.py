"""Pieces of series with scores, labels and flags, and the runs of flagged rows in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of one series.

    Attributes:
        scores: `(rows,)` float32, 0 or more, higher is stranger; NaN where a row has no score.
        labels: `(rows,)` int8: 1 anomaly, 0 normal, -1 not known.
        flags: `(rows,)` bool, True where a detector says anomaly; it counts where there is a score.
    """

    scores: np.ndarray
    labels: np.ndarray
    flags: np.ndarray

    @property
    def scored(self) -> np.ndarray:
        """`(rows,)` bool, the rows that have a score."""
        return ~np.isnan(self.scores)

    @property
    def flagged(self) -> np.ndarray:
        """`(rows,)` bool, the flags of the rows that have a score."""
        return np.asarray(self.flags, bool) & self.scored


def runs_of(flags: np.ndarray, merge: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Find the first and last rows of runs of flagged rows.

    Args:
        flags: `(rows,)` bool.
        merge: flagged rows with at most so many rows between them are of one run.

    Returns:
        `(runs,)` first rows and `(runs,)` last rows (inclusive), in order.
    """
    rows = np.flatnonzero(flags)
    ends = np.diff(rows, append=np.iinfo(np.int64).max) > merge + 1
    return rows[np.roll(ends, 1)], rows[ends]


def rows_in(chosen: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Count the chosen rows of each run.

    Args:
        chosen: `(rows,)` bool.
        starts: `(runs,)` first rows.
        ends: `(runs,)` last rows, inclusive.

    Returns:
        `(runs,)` counts.
    """
    before = np.concatenate(([0], np.cumsum(chosen)))
    return before[ends + 1] - before[starts]


def filled(flags: np.ndarray, merge: int) -> np.ndarray:
    """Flags with gaps of at most `merge` rows flagged too, `(rows,)` bool."""
    starts, ends = runs_of(flags, merge)
    changes = np.zeros(flags.size + 1, np.int8)
    changes[starts] = 1
    changes[ends + 1] = -1
    return np.cumsum(changes[:-1]).astype(bool)
