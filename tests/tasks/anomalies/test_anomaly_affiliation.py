"""Affiliation metrics: cases by hand, the paper's example, and a slow numeric integration."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from apps.tasks.anomalies.affiliation import affiliation_scores
from apps.tasks.anomalies.events import events_of
from apps.tasks.anomalies.pieces import Piece


def piece(rows: int, true: list[tuple[int, int]], flagged: list[tuple[int, int]]) -> Piece:
    """Rows with events and alarms at `[begin, stop)`."""
    labels, flags = np.zeros(rows, np.int8), np.zeros(rows, bool)
    for begin, stop in true:
        labels[begin:stop] = 1
    for begin, stop in flagged:
        flags[begin:stop] = True
    return Piece(np.ones(rows, np.float32), labels, flags)


def slow(each: Piece, points: int = 20) -> tuple[float, float]:
    """Precision and recall by midpoints of `points` parts of every row."""
    true = [(a, b + 1) for a, b in events_of(each.labels == 1, 0)]
    alarms = [(a, b + 1) for a, b in events_of(each.flags, 0)]
    middles = [(one[1] + next_[0]) / 2 for one, next_ in pairwise(true)]
    zones = list(zip([0.0, *middles], [*middles, float(each.labels.size)], strict=True))
    grid = (np.arange(each.labels.size * points) + 0.5) / points
    precisions, recalls = [], []
    for (begin, stop), (low, high) in zip(true, zones, strict=True):
        inside = [(max(a, low), min(b, high)) for a, b in alarms if a < high and b > low]
        if not inside:
            recalls.append(0.0)
            continue
        zone = grid[(grid > low) & (grid < high)]
        predicted = np.array([x for x in zone if any(a < x < b for a, b in inside)])
        # Precision: is a random point of the zone further from the event than this one is?
        apart = np.maximum(np.maximum(begin - zone, zone - stop), 0)
        own = np.maximum(np.maximum(begin - predicted, predicted - stop), 0)
        precisions.append(np.mean([(apart > x).mean() if x > 0 else 1.0 for x in own]))
        # Recall: is a random point of the zone further from this point than predictions are?
        shares = []
        for x in zone[(zone > begin) & (zone < stop)]:
            nearest = min(max(a - x, x - b, 0) for a, b in inside)
            shares.append((np.abs(zone - x) > nearest).mean() if nearest > 0 else 1.0)
        recalls.append(np.mean(shares))
    return float(np.mean(precisions)), float(np.mean(recalls))


def test_the_second_event_of_the_papers_example() -> None:
    # Minutes: event 20 to 40 in a zone of 90; alarms 10 to 30 and 85 to 90.
    precision, recall, f1 = affiliation_scores([piece(90, [(20, 40)], [(10, 30), (85, 90)])], 0)
    assert precision == pytest.approx(0.672222222)
    assert recall == pytest.approx(0.944444444)
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_by_hand() -> None:
    # An alarm of one row right after an event of one row in the middle of three: 0 to 1 away from
    # it, where 1 - (1 + 2 d) / 3 of the zone is further, so 1/3 in the mean.
    after = affiliation_scores([piece(3, [(1, 2)], [(2, 3)])], 0)
    assert after[0] == pytest.approx(1 / 3)
    # The event's points lie 0 to 1 from the alarm at 2: from x (1 to 2) less than 2 - x away are
    # 2 (2 - x) of 3, so 1 - 1/3 in the mean.
    assert after[1] == pytest.approx(2 / 3)
    assert affiliation_scores([piece(9, [(2, 4)], [(2, 4)])], 0) == pytest.approx((1, 1, 1))


def test_without_alarms_and_without_anomalies() -> None:
    precision, recall, f1 = affiliation_scores([piece(9, [(2, 4)], [])], 0)
    assert math.isnan(precision)
    assert (recall, f1) == (0.0, 0.0)
    for nothing in ([], [piece(9, [], [(2, 4)])]):
        assert all(math.isnan(figure) for figure in affiliation_scores(nothing, 0))


def test_zones_without_an_alarm_count_for_recall_only() -> None:
    two = piece(40, [(5, 8), (30, 33)], [(5, 8)])
    assert affiliation_scores([two], 0) == pytest.approx((1, 1 / 2, 2 / 3))
    parts = [piece(20, [(5, 8)], [(5, 8)]), piece(20, [(10, 13)], [])]
    assert affiliation_scores(parts, 0) == pytest.approx((1, 1 / 2, 2 / 3))


@pytest.mark.parametrize("seed", range(8))
def test_slow_integration_agrees(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, flags = np.zeros(60, np.int8), np.zeros(60, bool)
    for start in random.integers(0, 60, 3):
        labels[start : start + random.integers(1, 9)] = 1
    for start in random.integers(0, 60, 5):
        flags[start : start + random.integers(1, 6)] = True
    each = Piece(np.ones(60, np.float32), labels, flags)
    assert affiliation_scores([each], 0)[:2] == pytest.approx(slow(each), abs=0.01)


def test_merged_rows_are_predicted_and_unknown_ones_left_out() -> None:
    apart = piece(30, [(10, 14)], [(8, 10), (12, 13)])
    joined = piece(30, [(10, 14)], [(8, 13)])
    assert affiliation_scores([apart], 2) == affiliation_scores([joined], 0)
    unknown = piece(30, [(10, 14)], [(10, 14), (20, 25)])
    unknown.labels[18:28] = -1
    assert affiliation_scores([unknown], 0) == pytest.approx((1, 1, 1))


def test_rows_without_a_score_are_not_predicted() -> None:
    silent = piece(30, [(10, 14)], [(10, 14), (20, 25)])
    silent.scores[18:28] = np.nan
    assert affiliation_scores([silent], 0) == pytest.approx((1, 1, 1))
