"""Figures of anomalies from statistics of pieces."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from apps.data.panels.stretches import UNCOUNTED
from apps.report.quantities import Metric
from apps.tasks.anomalies.affiliation import affiliation_scores
from apps.tasks.anomalies.events import (
    event_scores,
    point_adjusted_f1,
    random_point_adjusted_f1,
    row_scores,
)
from apps.tasks.anomalies.pieces import Piece, runs_of
from apps.tasks.anomalies.ranking import auc_pr, vus_pr

METRICS = (
    Metric("nats", "nats per forecast", "lower", unit="nats"),
    Metric("auc_pr", "average precision of rows", "higher", rate=True),
    Metric("vus_pr", "volume under the PR surface", "higher", rate=True),
    Metric("event_f1", "F1 of events", "higher", rate=True),
    Metric("event_precision", "precision of events", "higher", rate=True),
    Metric("event_recall", "recall of events", "higher", rate=True),
    Metric("row_f1", "F1 of rows", "higher", rate=True),
    Metric("row_precision", "precision of rows", "higher", rate=True),
    Metric("row_recall", "recall of rows", "higher", rate=True),
    Metric("affiliation_f1", "affiliation F1", "higher", rate=True),
    Metric("point_adjusted_f1", "point-adjusted F1, which flatters", "neither", rate=True),
    Metric("random_point_adjusted_f1", "point-adjusted F1 of chance", "neither", rate=True),
    Metric("alarms_per_1000_rows", "alarms per 1,000 rows", "neither"),
)
_OF_ROWS = ("row_precision", "row_recall", "row_f1")


def figures_of(statistics: Mapping[str, np.ndarray], merge: int, seed: int) -> dict[str, float]:
    """The figures of pieces that follow one another.

    Args:
        statistics: `scores`, `labels` and `flags` `(pieces, rows)`; `nats`, `forecasts` and
            `begins` `(pieces,)`.
        merge: flagged rows with at most so many rows between them are one event.
        seed: of the flags that chance draws.
    """
    pieces = _joined(statistics)
    forecasts = float(np.nansum(statistics["forecasts"]))
    nats = float(np.nansum(statistics["nats"])) / forecasts if forecasts else float("nan")
    precision, recall, f1 = event_scores(pieces, merge)
    of_rows = dict(zip(_OF_ROWS, row_scores(pieces, merge), strict=True))
    counted = sum(int(piece.scored.sum()) for piece in pieces)
    alarms = sum(len(runs_of(piece.flagged, merge)[0]) for piece in pieces)
    return {
        "nats": nats,
        "auc_pr": auc_pr(pieces),
        "vus_pr": vus_pr(pieces, 2 * merge),
        "event_f1": f1,
        "event_precision": precision,
        "event_recall": recall,
        **of_rows,
        "affiliation_f1": affiliation_scores(pieces, merge)[2],
        "point_adjusted_f1": point_adjusted_f1(pieces),
        "random_point_adjusted_f1": random_point_adjusted_f1(pieces, seed),
        "alarms_per_1000_rows": 1000 * alarms / counted if counted else float("nan"),
    }


def nats_of(
    batch: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the nats of the forecasts of rows that are no known anomaly, and their number."""
    target = batch["target"]
    known = np.isfinite(target) & (counted & (batch["label"] != 1))[..., None, None]
    scale, shift = outputs["scale"][:, :, None], outputs["shift"][:, :, None]
    with np.errstate(invalid="ignore"):
        error = np.abs(np.arcsinh((target - shift) / scale) - outputs["middle"])
    spread = outputs["spread"].astype(np.float64)
    nats = np.where(known, np.where(known, error, 0.0) / spread + np.log(2.0 * spread), 0.0)
    return nats.sum((1, 2, 3)), known.sum((1, 2, 3)).astype(np.float64)


def _joined(statistics: Mapping[str, np.ndarray]) -> list[Piece]:
    """Pieces that follow one another as one; rows that do not count are left out at their ends."""
    begins = np.asarray(statistics["begins"], bool)
    edges = [*np.flatnonzero(begins).tolist(), len(begins)]
    if edges[0] != 0:
        edges = [0, *edges]
    found = []
    for first, last in itertools.pairwise(edges):
        scores, labels, flags = (
            statistics[name][first:last].reshape(-1) for name in ("scores", "labels", "flags")
        )
        real = labels > UNCOUNTED
        if real.any():
            found.append(Piece(scores[real], labels[real], flags[real]))
    return found
