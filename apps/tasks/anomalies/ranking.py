"""How well scores rank anomalies above normal rows, whatever the threshold: AUC-PR and VUS-PR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.tasks.anomalies.pieces import Piece, runs_of

LEVELS = 2048
# Bits of a positive float32 rise with its value. Without the last 17 of them 64 levels of equal
# width are left in every octave; the lowest level holds all from 0 to 2**-18.
_DROPPED_BITS, _LOWEST = 17, (127 - 18) << 6
_WIDTHS = 9


def levels_of(scores: np.ndarray) -> np.ndarray:
    """Put scores into fixed levels, 64 an octave from 2**-18 (0.000004) to 2**14 (16,384).

    What is smaller is of the lowest level, what is larger of the highest. Scores that crowd below a
    bound, as probabilities p near 1 do, share levels: rank by -log(1 - p) instead.

    Args:
        scores: of any shape, 0 or more; the level of NaN means nothing.

    Returns:
        Levels of the same shape, uint16, 0 to `LEVELS` - 1; they never fall as scores rise.
    """
    bits = np.asarray(scores, np.float32).view(np.int32) >> _DROPPED_BITS
    return np.clip(bits - _LOWEST, 0, LEVELS - 1).astype(np.uint16)


def level_counts(pieces: Sequence[Piece]) -> np.ndarray:
    """Count normal rows and anomalies at each level; counts of several samples may be added.

    Args:
        pieces: rows without a score or a known label are left out.

    Returns:
        `(2, LEVELS)` int64: the normal rows, then the anomalies.
    """
    counts = np.zeros((3, LEVELS), np.int64)
    for piece in pieces:
        kinds = np.where(piece.scored, piece.labels, -1).astype(np.int16) + 1
        bins = levels_of(piece.scores).astype(np.int16) + kinds * LEVELS
        counts += np.bincount(bins, minlength=counts.size).reshape(counts.shape)
    return counts[1:]


def average_precision(counts: np.ndarray) -> float:
    """Average precision of rows that are counted by level: precision at each recall, summed.

    Args:
        counts: `(2, LEVELS)` normal rows and anomalies of each level, as `level_counts` gives them.

    Returns:
        0 to 1, NaN without anomalies. Rows of one level are told apart by nothing.
    """
    hits = counts[1, ::-1]
    false, true = np.cumsum(counts[:, ::-1], axis=1)
    if not true[-1]:
        return float("nan")
    return float(np.sum(hits * (true / np.maximum(true + false, 1))) / true[-1])


def auc_pr(pieces: Sequence[Piece]) -> float:
    """Area under the precision-recall curve (average precision) over the rows of all pieces.

    Args:
        pieces: rows without a score or a known label are left out.

    Returns:
        0 to 1; chance gets the share of anomalies; NaN without anomalies.
    """
    return average_precision(level_counts(pieces))


def vus_pr(pieces: Sequence[Piece], longest: int) -> float:
    """Volume under the precision-recall surface, which forgives alarms a few rows beside an event.

    Paparrizos et al. 2022, "Volume Under the Surface: A New Accuracy Evaluation Measure for
    Time-Series Anomaly Detection". For buffers of a width l, l // 2 rows on each side of an event
    count as anomalies by sqrt(1 - distance / l); recall is multiplied by the share of the events
    that have an alarm in them or their buffers, where those that touch each other's are one. The
    area under the curve is averaged over l from 0 to `longest`: taken at 9 widths and linear
    between. A buffer counts among what is to be found as far as there are alarms in it, as
    the authors' program (and so the published figures) has it.

    Args:
        pieces: rows without a score or a known label are left out, and so are events without any.
        longest: rows of the widest buffer: about the length of an event, or of a period.

    Returns:
        0 to 1, NaN without anomalies.
    """
    levels, labels = _joined(pieces, longest + 1)
    starts, ends = runs_of(labels == 1)
    ranked = _peaks(levels, starts, ends) >= 0
    starts, ends = starts[ranked], ends[ranked]
    if not starts.size:
        return float("nan")
    alarms = np.maximum(_at_or_above(levels[levels >= 0]), 1)
    inside = _at_or_above(levels[(labels == 1) & (levels >= 0)])
    outside = np.flatnonzero((labels == 0) & (levels >= 0))
    levels_outside = levels[outside]
    widths = np.unique(np.linspace(0, longest, _WIDTHS).round().astype(int))
    areas = []
    for width in widths:
        reach = width // 2
        steps = np.arange(1, reach + 1)
        rows = np.concatenate((starts[:, None] - steps, ends[:, None] + steps))
        slopes = np.broadcast_to(np.sqrt(1 - steps / max(width, 1)), rows.shape)
        weights = np.bincount(rows.ravel(), slopes.ravel(), levels.size)[outside]
        beside = _at_or_above(levels_outside, np.minimum(weights, 1))
        apart = starts[1:] - reach > ends[:-1] + reach
        first, last = np.concatenate(([True], apart)), np.concatenate((apart, [True]))
        peaks = _peaks(levels, starts[first] - reach, ends[last] + reach)
        true = inside + beside
        recall = np.minimum(true / (inside[-1] + beside / 2), 1)
        recall *= _at_or_above(peaks) / peaks.size
        areas.append(np.sum(np.diff(recall, prepend=0) * (true / alarms)))
    return float(np.interp(np.arange(longest + 1), widths, areas).mean())


def _joined(pieces: Sequence[Piece], gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels (-1: left out) and labels of all pieces, with `gap` unknown rows around each."""
    rows = gap + sum(piece.scores.size + gap for piece in pieces)
    levels, labels = np.full(rows, -1, np.int16), np.full(rows, -1, np.int8)
    start = gap
    for piece in pieces:
        part = slice(start, start + piece.scores.size)
        levels[part] = np.where(piece.scored & (piece.labels >= 0), levels_of(piece.scores), -1)
        labels[part] = piece.labels
        start = part.stop + gap
    return levels, labels


def _peaks(levels: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The highest level in each run of rows; runs are in order, and none ends at the last row."""
    if not starts.size:
        return np.zeros(0, levels.dtype)
    return np.maximum.reduceat(levels, np.column_stack((starts, ends + 1)).ravel())[::2]


def _at_or_above(levels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """`(LEVELS,)` number, or weight, of rows at or above each level, the highest level first."""
    return np.cumsum(np.bincount(levels, weights, LEVELS)[::-1])
