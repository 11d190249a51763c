"""Sections that applications contribute to a report, and those of classifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.report import charts
from apps.report.calibration import BINS, reliability
from apps.report.quantities import finite, percent
from apps.report.svg import HEAT_BOUNDS
from apps.report.templates import render

# Beyond this many classes a table of counts does not fit a page; a map of shades replaces it.
_TABLE_CLASSES = 12
_MAP_CLASSES = 60
_CONFUSIONS = 15
_EXAMPLES = 6
_TEXT_LENGTH = 320


@dataclass(frozen=True)
class Section:
    """One titled part of a report.

    Attributes:
        title: plain text; it is escaped.
        html: markup that refers to nothing outside itself, with the user's text escaped.
    """

    title: str
    html: str


def confusion(labels: Sequence[str], truth: Sequence[str], predicted: Sequence[str]) -> Section:
    """Which classes are confused with which, as counts and as shares of the true class.

    Args:
        labels: names of the classes, any number of them.
        truth: true label of each row.
        predicted: predicted label of each row.

    Returns:
        A table of all classes, or for many classes a map of shades and the most frequent
        confusions; beside it precision, recall and F1 of each class.

    Raises:
        ValueError: truth and predictions differ in length, or a row's label is not among `labels`.
    """
    counts = _count(labels, truth, predicted)
    total, right = int(counts.sum()), int(np.trace(counts))
    shares = _rows_normalised(counts)
    shown = _most_confused(counts, _MAP_CLASSES)
    small = len(labels) <= _TABLE_CLASSES
    chart = None
    if total and not small:
        names = [labels[i] for i in shown]
        alt = (
            f"Confusion of {len(names)} classes, shares of the true class; "
            f"{percent(right / total)} of all rows lie on the diagonal"
        )
        chart = charts.heat_map(names, shares[np.ix_(shown, shown)], alt)
    html = render(
        "confusion.html.j2",
        labels=labels,
        counts=counts.tolist() if small else [],
        shares=shares.tolist() if small else [],
        total=total,
        right=right,
        small=small,
        chart=chart,
        bounds=HEAT_BOUNDS,
        shown=len(shown),
        frequent=_frequent_confusions(labels, counts, shares),
        classes=_per_class(labels, counts),
    )
    return Section("Confusions", html)


def calibration(confidence: ArrayLike, hit: ArrayLike, classes: int) -> Section:
    """Whether the model is right as often as its probabilities say (Guo et al. 2017).

    Args:
        confidence: `(rows,)`, the probability of the most likely class.
        hit: bool `(rows,)`, whether that class is the true one.
        classes: how many there are.

    Returns:
        Reliability diagram in 15 bins with counts, and the expected calibration error in words.

    Raises:
        ValueError: the shapes do not belong together.
    """
    bins = reliability(confidence, hit)
    chart = None
    if bins.counts.any():
        alt = (
            f"Reliability of {int(bins.counts.sum())} examples in {BINS} bins of confidence; "
            f"expected calibration error {percent(bins.error)}"
        )
        chart = charts.reliability_diagram(bins, 1 / classes, alt)
    low, high = bins.accuracy_interval()
    rows = [
        {
            "from": bins.edges[i],
            "to": bins.edges[i + 1],
            "count": int(bins.counts[i]),
            "confidence": bins.confidence[i],
            "accuracy": bins.accuracy[i],
            "low": low[i],
            "high": high[i],
        }
        for i in np.flatnonzero(bins.counts)
    ]
    html = render(
        "calibration.html.j2",
        chart=chart,
        rows=rows,
        bins=BINS,
        error=bins.error,
        overconfidence=bins.overconfidence,
    )
    return Section("Calibration", html)


def examples_table(rows: Iterable[Mapping[str, Any]]) -> Section:
    """The most instructive rows: confidently right, confidently wrong, and undecided.

    Args:
        rows: as in `predictions.jsonl`: `place`, `input`, `truth`, `label`, `probabilities`.

    Returns:
        A few rows of each kind with their texts; long texts are cut.
    """
    judged = [_judge(row) for row in rows]
    certain = sorted(judged, key=lambda row: -row["confidence"])
    groups = [
        ("Most confidently wrong", [row for row in certain if not row["right"]]),
        ("Least certain", certain[::-1]),
        ("Most confidently right", [row for row in certain if row["right"]]),
    ]
    html = render(
        "examples.html.j2",
        groups=[(title, members[:_EXAMPLES], len(members)) for title, members in groups],
        total=len(judged),
        limit=_TEXT_LENGTH,
    )
    return Section("Examples", html)


def _count(
    labels: Sequence[str], truth: Sequence[str], predicted: Sequence[str]
) -> NDArray[np.int64]:
    """Counts `(classes, classes)`, true class by row and predicted class by column."""
    position = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for true, answer in zip(truth, predicted, strict=True):
        if true not in position or answer not in position:
            raise ValueError(f"label {true!r} or {answer!r} is not among the labels")
        counts[position[true], position[answer]] += 1
    return counts


def _rows_normalised(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    whole = counts.sum(axis=1, keepdims=True)
    return np.where(whole > 0, counts / np.maximum(whole, 1), np.nan)


def _most_confused(counts: NDArray[np.int64], limit: int) -> list[int]:
    """The classes involved in the most mistakes, in the order of the labels."""
    hits = counts.diagonal()
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * hits
    return sorted(np.argsort(-mistakes, kind="stable")[:limit].tolist())


def _frequent_confusions(
    labels: Sequence[str], counts: NDArray[np.int64], shares: NDArray[np.float64]
) -> list[dict[str, Any]]:
    wrong = counts * ~np.eye(len(labels), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(place), len(labels)) for place in order]
    return [
        {
            "true": labels[i],
            "predicted": labels[j],
            "count": int(wrong[i, j]),
            "share": float(shares[i, j]),
        }
        for i, j in pairs
        if wrong[i, j]
    ]


def _per_class(labels: Sequence[str], counts: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each class; NaN where a class never occurs on that side."""
    hits, true, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    return [
        {
            "label": label,
            "count": int(true[i]),
            "precision": hits[i] / predicted[i] if predicted[i] else np.nan,
            "recall": hits[i] / true[i] if true[i] else np.nan,
            "f1": 2 * hits[i] / (true[i] + predicted[i]) if true[i] + predicted[i] else np.nan,
        }
        for i, label in enumerate(labels)
    ]


def _judge(row: Mapping[str, Any]) -> dict[str, Any]:
    probabilities = row.get("probabilities") or {}
    label = row.get("label")
    confidence = probabilities.get(label)
    return {
        "place": row.get("place", ""),
        "input": row.get("input", ""),
        "truth": row.get("truth"),
        "label": label,
        "right": row.get("truth") == label,
        "confidence": confidence if finite(confidence) else 0.0,
        "given_truth": probabilities.get(row.get("truth")),
    }
