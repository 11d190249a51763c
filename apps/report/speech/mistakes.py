"""The mistakes of a speech application: per row, aligned word by word, and as rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from apps.report.quantities import finite
from apps.report.speech.error_rates import alignment

_RESAMPLES = 1000
# A bootstrap over fewer rows keeps drawing nearly the same sample.
_FEWEST_ROWS = 5


class Edit(NamedTuple):
    """One column of an alignment of what was said and what was recognised.

    Attributes:
        kind: `"hit"`, `"substitution"`, `"deletion"` or `"insertion"`.
        reference: the word that was said, empty for an insertion.
        hypothesis: the word that was recognised, empty for a deletion.
    """

    kind: str
    reference: str
    hypothesis: str


@dataclass(frozen=True, eq=False)
class Judged:
    """A row of `predictions.jsonl` with its mistakes.

    Attributes:
        row: the row itself, in the form that `apps.report.speech.sections` describes.
        answer: the label or the text that the model gave.
        errors: wrong words of a transcript; for a keyword, 1 if it is wrong, else 0.
        units: words that were said; for a keyword, 1.
        edits: the alignment of a transcript; empty for a keyword.
        assurance: probability of the true keyword, or the transcript's confidence; NaN if unknown.
    """

    row: Mapping[str, Any]
    answer: str
    errors: int
    units: int
    edits: tuple[Edit, ...]
    assurance: float

    @property
    def rate(self) -> float:
        """Errors per unit; words recognised where nothing was said count against one word."""
        return self.errors / max(self.units, 1)


@dataclass(frozen=True)
class ErrorRate:
    """The error rate of a group of rows.

    Attributes:
        rows: how many examples.
        units: how many words or keywords.
        errors: how many of them are wrong, inserted words included.
        interval: bounds of the 95 % interval of the rate; None where it cannot be estimated.
    """

    rows: int
    units: int
    errors: int
    interval: tuple[float, float] | None

    @property
    def value(self) -> float:
        """Errors per unit, a fraction; NaN where there is no unit."""
        return self.errors / self.units if self.units else math.nan


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Judged]:
    """Compare every answer with its truth.

    Args:
        rows: rows of `predictions.jsonl`; one with `text` is a transcript, one with `label` a
            keyword.

    Returns:
        One judgement per row, in the same order.
    """
    return [_transcript(row) if "text" in row else _keyword(row) for row in rows]


def worst(judged: Sequence[Judged], count: int = 10) -> list[int]:
    """Positions of the rows with the most errors, then of those that were nearly wrong.

    Args:
        judged: all rows.
        count: how many positions at most.

    Returns:
        Positions, worst first: by errors, then rate, then how improbable the truth was.
    """

    def badness(position: int) -> tuple[float, float, float]:
        one = judged[position]
        assurance = one.assurance if finite(one.assurance) else 1.0
        return (-one.errors, -one.rate, assurance)

    return sorted(range(len(judged)), key=badness)[:count]


def instructive(judged: Sequence[Judged], count: int = 6) -> list[int]:
    """Positions of a few rows that show how the model works, half of them right, half wrong.

    Args:
        judged: all rows.
        count: how many positions at most.

    Returns:
        First rows with the fewest errors and different truths, then the worst ones.
    """
    wrong = [position for position in worst(judged, count // 2) if judged[position].errors]
    best: list[int] = []
    truths: set[str] = set()
    for position in sorted(range(len(judged)), key=lambda i: judged[i].rate):
        truth = str(judged[position].row.get("truth", ""))
        if position not in wrong and truth not in truths:
            truths.add(truth)
            best.append(position)
    return best[: count - len(wrong)] + wrong


def error_rate(judged: Sequence[Judged], seed: int = 0) -> ErrorRate:
    """The pooled error rate of rows, with its 95 % interval.

    Args:
        judged: the rows of one group.
        seed: seeds the resampling.

    Returns:
        The rate. Its interval is the score interval (Wilson 1927) for keywords; for transcripts,
        whose words are not independent, the percentile bootstrap over utterances (Bisani & Ney
        2004). A group of transcripts without any error gets the score interval over its
        words, since every resample of it would be without error too.
    """
    pairs = np.array([(one.errors, one.units) for one in judged], np.int64).reshape(-1, 2)
    errors, units = (int(total) for total in pairs.sum(axis=0))
    interval = None
    if units and (not errors or not any(one.edits for one in judged)):
        interval = _score_interval(errors, units)
    elif units and len(judged) >= _FEWEST_ROWS:
        interval = _bootstrap_interval(pairs, seed)
    return ErrorRate(len(judged), units, errors, interval)


def _keyword(row: Mapping[str, Any]) -> Judged:
    answer, truth = str(row.get("label", "")), row.get("truth")
    given = (row.get("probabilities") or {}).get(truth, math.nan)
    return Judged(row, answer, int(truth != row.get("label")), 1, (), given)


def _transcript(row: Mapping[str, Any]) -> Judged:
    answer = str(row["text"] or "")
    edits = tuple(Edit(*pair) for pair in alignment(str(row.get("truth") or ""), answer))
    errors = sum(edit.kind != "hit" for edit in edits)
    units = sum(edit.kind != "insertion" for edit in edits)
    return Judged(row, answer, errors, units, edits, row.get("confidence", math.nan))


def _score_interval(errors: int, units: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(errors, units).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _bootstrap_interval(pairs: np.ndarray, seed: int) -> tuple[float, float]:
    """Bounds of the rate over resampled rows; rows with equal counts are drawn together."""
    kinds, frequency = np.unique(pairs, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(
        len(pairs), frequency / len(pairs), size=_RESAMPLES
    )
    errors, units = (draws @ kinds).T
    low, high = np.percentile(errors / np.maximum(units, 1), [2.5, 97.5])
    return float(low), float(high)
