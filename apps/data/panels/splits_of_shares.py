"""Jumps of a price that look like splits of the share."""

from __future__ import annotations

import numpy as np

_RATIOS = np.array([1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100])
# How far, in logarithms, a jump may lie from a ratio; and rows on either side whose level tells.
_NEAR, _AROUND = 0.06, 10
# So many times the usual return, and the ranges of the days, a split is at least.
_UNUSUAL, _OF_RANGE = 8.0, 3.0


def suspected_splits(
    close: np.ndarray,
    opened: np.ndarray | None = None,
    high: np.ndarray | None = None,
    low: np.ndarray | None = None,
) -> list[tuple[int, float]]:
    """Rows before which the price jumps by the ratio of a split and stays there.

    A split happens between two rows: neither has such a range itself.

    Args:
        close, opened, high, low: `(rows,)` positive prices.

    Returns:
        Rows with the ratio of their first price to the close before.
    """
    if len(close) < 3:
        return []
    level = np.log(close)
    jump = np.log(close if opened is None else opened)[1:] - level[:-1]
    usual = np.median(np.abs(np.diff(level)))
    found = np.abs(jump) > max(_UNUSUAL * usual, np.log(_RATIOS[0]) - _NEAR)
    if high is not None and low is not None:
        ranges = np.log(high / low)
        found &= np.abs(jump) > _OF_RANGE * np.maximum(ranges[1:], ranges[:-1])
    rows = []
    for row in np.flatnonzero(found) + 1:
        if np.abs(abs(jump[row - 1]) - np.log(_RATIOS)).min() > _NEAR:
            continue
        before, after = level[max(row - _AROUND, 0) : row], level[row : row + _AROUND]
        moved = np.median(after) - np.median(before)
        if abs(moved - jump[row - 1]) < 0.25 * abs(jump[row - 1]):
            rows.append((int(row), float(np.exp(jump[row - 1]))))
    return rows
