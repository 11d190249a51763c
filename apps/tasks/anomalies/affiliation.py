"""Affiliation metrics: how near alarms lie to labelled events, against alarms at random rows.

Huet, Navarro & Rossi 2022, "Local Evaluation of Time Series Anomaly Detection Algorithms". Each
labelled event has a zone, which reaches half-way to its neighbours or to the ends of the piece. A
row stands for the interval from its number to the next, and all integrals are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.tasks.anomalies.pieces import Piece, filled, runs_of


def affiliation_scores(pieces: Sequence[Piece], merge: int) -> tuple[float, float, float]:
    """Precision, recall and F1 by affiliation; alarms at random get about 0.5 and more.

    Alarms in pieces without anomalies belong to no event and are not counted.

    Args:
        pieces: predictions at rows with unknown labels are left out.
        merge: flagged rows with at most so many rows between them are one predicted event, and the
            rows between are predicted too.

    Returns:
        Precision, the mean over the zones that hold a prediction (NaN without any); recall, the
        mean over all zones; F1, 0 without predictions. All are NaN without anomalies.
    """
    precisions: list[float] = []
    recalls: list[float] = []
    for piece in pieces:
        begins, stops = _intervals(piece.labels == 1)
        if not begins.size:
            continue
        predicted = _intervals(filled(piece.flagged, merge) & (piece.labels >= 0))
        middles = (stops[:-1] + begins[1:]) / 2
        zones = np.concatenate(([0.0], middles, [float(piece.labels.size)]))
        for number, event in enumerate(zip(begins, stops, strict=True)):
            zone = (zones[number], zones[number + 1])
            first = np.searchsorted(predicted[1], zone[0], side="right")
            last = np.searchsorted(predicted[0], zone[1], side="left")
            cut = [np.clip(bounds[first:last], *zone) for bounds in predicted]
            if cut[0].size:
                precisions.append(_precision(cut[0], cut[1], event, zone))
            recalls.append(_recall(cut[0], cut[1], event, zone) if cut[0].size else 0.0)
    precision = float(np.mean(precisions)) if precisions else float("nan")
    recall = float(np.mean(recalls)) if recalls else float("nan")
    if not precisions:
        return precision, recall, 0.0 if recalls else float("nan")
    return precision, recall, 2 * precision * recall / (precision + recall)


def _precision(
    begins: np.ndarray, stops: np.ndarray, event: tuple[float, float], zone: tuple[float, float]
) -> float:
    """Mean share of the zone that lies further from the event than a predicted point does."""
    length, span = event[1] - event[0], zone[1] - zone[0]
    shorter = min(event[0] - zone[0], zone[1] - event[1])

    def up_to(distance: np.ndarray) -> np.ndarray:
        """Integral of the share over distances outside the event, from 0 on."""
        near = np.minimum(distance, shorter)
        nearer = length * distance + distance**2 / 2 + near**2 / 2 + shorter * (distance - near)
        return distance - nearer / span

    def along(points: np.ndarray) -> np.ndarray:
        """Integral of the share over points, up to a constant."""
        before, after = np.maximum(event[0] - points, 0), np.maximum(points - event[1], 0)
        return np.clip(points, *event) - up_to(before) + up_to(after)

    return float(np.sum(along(stops) - along(begins)) / np.sum(stops - begins))


def _recall(
    begins: np.ndarray, stops: np.ndarray, event: tuple[float, float], zone: tuple[float, float]
) -> float:
    """Mean share of the zone that lies further from a point of the event than predictions do."""
    bounds = np.concatenate((begins, stops))
    # Between these points the share is linear, so that trapezoids are exact.
    points = np.concatenate(
        (bounds, (stops[:-1] + begins[1:]) / 2, (bounds + zone[0]) / 2, (bounds + zone[1]) / 2)
    )
    points = np.sort(np.concatenate((event, np.clip(points, *event))))
    following = np.searchsorted(begins, points, side="right")
    since = points - np.concatenate(([-np.inf], stops))[following]
    until = np.concatenate((begins, [np.inf]))[following] - points
    distance = np.maximum(np.minimum(since, until), 0)
    nearer = np.minimum(distance, points - zone[0]) + np.minimum(distance, zone[1] - points)
    share = 1 - nearer / (zone[1] - zone[0])
    return float(np.trapezoid(share, points) / (event[1] - event[0]))


def _intervals(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Begins and stops (exclusive) of the runs of chosen rows."""
    starts, ends = runs_of(chosen)
    return starts.astype(float), ends + 1.0
