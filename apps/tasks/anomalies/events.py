"""Events of flagged rows against events of labelled rows, and the point-adjusted F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.tasks.anomalies.pieces import Piece, filled, rows_in, runs_of

_DRAWS = 10


def events_of(flags: np.ndarray, merge: int) -> list[tuple[int, int]]:
    """Put flagged rows together to events.

    Args:
        flags: `(rows,)` bool.
        merge: flagged rows with at most so many rows between them are one event.

    Returns:
        First and last row (inclusive) of each event, in order.
    """
    starts, ends = runs_of(flags, merge)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def event_scores(pieces: Sequence[Piece], merge: int) -> tuple[float, float, float]:
    """Precision, recall and F1 of events.

    Counted as Hundman et al. 2018 do ("Detecting Spacecraft Anomalies Using LSTMs and Nonparametric
    Dynamic Thresholding"): a run of anomalies is found, once, if any predicted event overlaps it; a
    predicted event that overlaps none is a false alarm, unless the labels of all its flagged rows
    are unknown.

    Args:
        pieces: rows with scores, labels and flags.
        merge: flagged rows with at most so many rows between them are one predicted event.

    Returns:
        Precision (NaN where there are neither found events nor false alarms), recall and F1 (NaN
        without anomalies).
    """
    found = false = events = 0
    for piece in pieces:
        true, predicted = runs_of(piece.labels == 1), runs_of(piece.flagged, merge)
        in_normal = rows_in(piece.flagged & (piece.labels == 0), *predicted) > 0
        found += int(_overlapping(true, predicted).sum())
        false += int((in_normal & ~_overlapping(predicted, true)).sum())
        events += true[0].size
    precision = found / (found + false) if found + false else float("nan")
    recall = found / events if events else float("nan")
    return precision, recall, _f1(found, false, events)


def row_scores(pieces: Sequence[Piece], merge: int) -> tuple[float, float, float]:
    """Precision, recall and F1 of rows, those between the alarms of an event included.

    Args:
        pieces: rows with unknown labels are left out.
        merge: flagged rows with at most so many rows between them are one predicted event.

    Returns:
        Precision (NaN where nothing is flagged), recall and F1 (NaN without anomalies).
    """
    found = false = anomalies = 0
    for piece in pieces:
        flags = filled(piece.flagged, merge)
        found += int((flags & (piece.labels == 1)).sum())
        false += int((flags & (piece.labels == 0)).sum())
        anomalies += int((piece.labels == 1).sum())
    precision = found / (found + false) if found + false else float("nan")
    recall = found / anomalies if anomalies else float("nan")
    return precision, recall, _f1(found, false, anomalies)


def point_adjusted_f1(pieces: Sequence[Piece]) -> float:
    """F1 of rows, where all rows of a labelled event count as flagged if one of them is.

    Long events make it high for any detector: show `random_point_adjusted_f1` beside it.

    Args:
        pieces: rows with unknown labels are left out.

    Returns:
        0 to 1, NaN without anomalies.
    """
    return _point_adjusted([(piece.labels, piece.flagged) for piece in pieces])


def random_point_adjusted_f1(pieces: Sequence[Piece], seed: int) -> float:
    """Point-adjusted F1 of flags drawn at random, as many as the pieces have.

    A random flag anywhere in a long event earns all its rows, so that random flags often reach the
    figures of published detectors: Kim et al. 2022, "Towards a Rigorous Evaluation of Time-Series
    Anomaly Detection". A point-adjusted F1 says nothing without this one beside it.

    Args:
        pieces: flags are drawn among all their rows that have a score.
        seed: of the draws.

    Returns:
        Mean of 10 draws, 0 to 1; NaN without anomalies.
    """
    if not pieces:
        return float("nan")
    random = np.random.default_rng(seed)
    cuts = np.cumsum([piece.scores.size for piece in pieces])[:-1]
    scored = np.flatnonzero(np.concatenate([piece.scored for piece in pieces]))
    number = sum(int(piece.flagged.sum()) for piece in pieces)
    drawn = []
    for _ in range(_DRAWS):
        flags = np.zeros(sum(piece.scores.size for piece in pieces), bool)
        flags[random.choice(scored, number, replace=False, shuffle=False)] = True
        labels = [piece.labels for piece in pieces]
        drawn.append(_point_adjusted(list(zip(labels, np.split(flags, cuts), strict=True))))
    return float(np.mean(drawn))


def _point_adjusted(pieces: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Point-adjusted F1 of labels and flags."""
    found = false = anomalies = 0
    for labels, flags in pieces:
        starts, ends = runs_of(labels == 1)
        lengths = ends - starts + 1
        found += int(lengths[rows_in(flags, starts, ends) > 0].sum())
        false += int((flags & (labels == 0)).sum())
        anomalies += int(lengths.sum())
    return _f1(found, false, anomalies)


def _overlapping(
    runs: tuple[np.ndarray, np.ndarray], others: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """`(runs,)` whether a run shares a row with any of the others; each in order, apart."""
    begun = np.searchsorted(others[0], runs[1], side="right")
    return begun > np.searchsorted(others[1], runs[0], side="left")


def _f1(found: int, false: int, anomalies: int) -> float:
    """F1 of what was found among all anomalies, and of false alarms."""
    return 2 * found / (found + false + anomalies) if anomalies else float("nan")
