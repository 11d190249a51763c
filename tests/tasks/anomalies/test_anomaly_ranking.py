"""AUC-PR and VUS-PR: as scikit-learn and as the paper's formulas, written out slowly, have them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from apps.tasks.anomalies.pieces import Piece
from apps.tasks.anomalies.ranking import LEVELS, auc_pr, level_counts, levels_of, vus_pr


def piece(scores: list[float] | np.ndarray, labels: list[int] | np.ndarray) -> Piece:
    return Piece(
        np.asarray(scores, np.float32), np.asarray(labels, np.int8), np.zeros(len(scores), bool)
    )


def sample(rows: int, events: int, seed: int, longest: int = 12) -> Piece:
    random = np.random.default_rng(seed)
    labels = np.zeros(rows, np.int8)
    for start in random.integers(0, rows, events):
        labels[start : start + random.integers(1, longest)] = 1
    return piece(np.exp(random.normal(0, 1, rows) + 1.2 * labels), labels)


def slow_vus(pieces: list[Piece], widths: np.ndarray) -> float:
    """Loops over widths, thresholds, events and rows; pieces have scores and labels everywhere."""
    levels = [levels_of(each.scores) for each in pieces]
    areas = []
    for width in widths:
        reach = width // 2
        soft: list[np.ndarray] = []
        segments: list[tuple[int, int, int]] = []
        for number, each in enumerate(pieces):
            labels, label = each.labels, each.labels.astype(float)
            # A buffer goes on through a neighbouring event as if that was not there.
            runs = np.flatnonzero(np.diff(labels, prepend=0, append=0)).reshape(-1, 2)
            for start, stop in runs:
                for step in range(1, reach + 1):
                    for row in (start - step, stop - 1 + step):
                        if 0 <= row < labels.size:
                            label[row] += math.sqrt(1 - step / width)
                last = stop - 1 + reach
                if segments and segments[-1][0] == number and start - reach <= segments[-1][2]:
                    segments[-1] = (number, segments[-1][1], last)
                else:
                    segments.append((number, max(start - reach, 0), last))
            soft.append(np.minimum(label, 1))
        area = recall_before = 0.0
        for threshold in sorted({int(x) for each in levels for x in each}, reverse=True):
            alarms = [each >= threshold for each in levels]
            true = sum(float(s[a].sum()) for s, a in zip(soft, alarms, strict=True))
            wanted = sum(
                float(each.labels.sum() + np.where(each.labels == 1, 1, s * a).sum()) / 2
                for each, s, a in zip(pieces, soft, alarms, strict=True)
            )
            exists = np.mean([alarms[n][first : last + 1].any() for n, first, last in segments])
            recall = min(true / wanted, 1.0) * float(exists)
            precision = true / sum(int(a.sum()) for a in alarms)
            area += (recall - recall_before) * precision
            recall_before = recall
        areas.append(area)
    return float(np.mean(areas))


def test_levels_rise_with_scores_and_are_fixed() -> None:
    scores = np.concatenate(([0.0], np.logspace(-8, 6, 5000))).astype(np.float32)
    levels = levels_of(scores)
    assert levels.dtype == np.uint16
    assert (np.diff(levels.astype(int)) >= 0).all()
    assert (levels[0], levels[-1]) == (0, LEVELS - 1)
    inner = scores[(levels > 0) & (levels < LEVELS - 1)]
    _, first = np.unique(levels_of(inner), return_index=True)
    assert (inner[first][1:] / inner[first][:-1] < 1.03).all()
    np.testing.assert_array_equal(levels_of(scores[::-7]), levels[::-7])
    np.testing.assert_array_equal(levels_of(np.array([-0.0, 1e-30, np.inf])), [0, 0, LEVELS - 1])


@pytest.mark.parametrize("seed", range(4))
def test_auc_pr_is_scikit_learns(seed: int) -> None:
    pieces = [sample(3000, 20, seed), sample(700, 3, seed + 100)]
    labels = np.concatenate([each.labels for each in pieces])
    scores = np.concatenate([each.scores for each in pieces])
    assert auc_pr(pieces) == pytest.approx(average_precision_score(labels, levels_of(scores)))
    assert auc_pr(pieces) == pytest.approx(average_precision_score(labels, scores), abs=0.005)


def test_rows_without_score_or_label_are_left_out() -> None:
    whole = sample(500, 6, 1)
    random = np.random.default_rng(0)
    scores, labels = whole.scores.copy(), whole.labels.copy()
    scores[random.random(500) < 0.2] = np.nan
    labels[random.random(500) < 0.2] = -1
    kept = ~np.isnan(scores) & (labels >= 0)
    assert auc_pr([piece(scores, labels)]) == pytest.approx(
        average_precision_score(labels[kept], levels_of(scores[kept]))
    )


def test_counts_of_samples_add_up() -> None:
    one, other = sample(400, 4, 1), sample(300, 4, 2)
    np.testing.assert_array_equal(
        level_counts([one, other, one]), 2 * level_counts([one]) + level_counts([other])
    )


def test_undefined_without_anomalies() -> None:
    none = piece([1.0, 2.0, 3.0], [0, 0, -1])
    assert math.isnan(auc_pr([none]))
    assert math.isnan(vus_pr([none], 4))
    assert math.isnan(auc_pr([]))
    assert math.isnan(vus_pr([], 4))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("longest", [0, 1, 8])
def test_vus_pr_is_the_formulas(seed: int, longest: int) -> None:
    pieces = [sample(90, 4, seed), sample(40, 2, seed + 50, 5)]
    expected = slow_vus(pieces, np.arange(longest + 1))
    assert vus_pr(pieces, longest) == pytest.approx(expected, abs=1e-9)


def test_vus_pr_takes_few_widths_of_many() -> None:
    pieces = [sample(120, 3, 3)]
    assert vus_pr(pieces, 24) == pytest.approx(slow_vus(pieces, np.arange(25)), abs=0.005)


def test_vus_pr_forgives_what_auc_pr_does_not() -> None:
    labels = np.zeros(200, int)
    labels[100:110] = 1
    late, far = np.full(200, 0.1), np.full(200, 0.1)
    late[110:114], far[150:154] = 5, 5
    assert vus_pr([piece(late, labels)], 20) > 3 * auc_pr([piece(late, labels)])
    assert vus_pr([piece(far, labels)], 20) < 0.2
    exact = np.where(labels == 1, 5.0, 0.1)
    assert vus_pr([piece(exact, labels)], 20) == pytest.approx(1.0)


def test_vus_pr_of_pieces_does_not_reach_from_one_into_the_next() -> None:
    one = piece([0.1, 0.1, 0.1, 9.0], [0, 0, 0, 1])
    other = piece([5.0, 0.1, 0.1, 0.1], [0, 0, 0, 0])
    assert vus_pr([one, other], 6) == pytest.approx(vus_pr([other, one], 6))


def test_vus_pr_leaves_out_events_without_a_score() -> None:
    scores = np.array([np.nan] * 5 + [1, 1, 1, 9, 1, 1], float)
    labels = np.array([0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0])
    assert vus_pr([piece(scores, labels)], 4) == pytest.approx(
        vus_pr([piece(scores[5:], labels[5:])], 4)
    )
