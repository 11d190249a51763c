"""Events of flags, what they find of labelled events, and the point-adjusted F1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from apps.tasks.anomalies.events import (
    event_scores,
    events_of,
    point_adjusted_f1,
    random_point_adjusted_f1,
    row_scores,
)
from apps.tasks.anomalies.pieces import Piece


def piece(labels: str, flags: str, scored: str = "") -> Piece:
    """Rows from signs: labels 1, 0 and ? (not known), flags ! and ., scores x and . (none)."""
    scores = [1.0 if sign == "x" else math.nan for sign in scored or "x" * len(labels)]
    return Piece(
        np.array(scores, np.float32),
        np.array([-1 if sign == "?" else int(sign) for sign in labels], np.int8),
        np.array([sign == "!" for sign in flags]),
    )


def test_events_end_inclusive() -> None:
    flags = np.array([True, True, False, True, False, False, True])
    assert events_of(flags, 0) == [(0, 1), (3, 3), (6, 6)]
    assert events_of(flags, 1) == [(0, 3), (6, 6)]
    assert events_of(flags, 2) == [(0, 6)]
    assert events_of(np.zeros(3, bool), 2) == []
    assert events_of(np.ones(3, bool), 0) == [(0, 2)]
    assert events_of(np.zeros(0, bool), 0) == []


def test_an_event_is_found_once_and_alarms_beside_events_are_false() -> None:
    # Two alarms in the first event, none in the second, one false alarm; then a second piece.
    first = piece("0011110001100", "!.!.!........")
    second = piece("0110", ".!..")
    assert event_scores([first], 0) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    assert event_scores([first, second], 0) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert event_scores([first], 1) == pytest.approx((1.0, 1 / 2, 2 / 3))


def test_one_alarm_may_find_two_events() -> None:
    assert event_scores([piece("0110110", ".!!!!!.")], 0) == (1.0, 1.0, 1.0)


def test_alarms_at_unknown_labels_are_not_false_and_rows_without_score_not_alarms() -> None:
    assert event_scores([piece("0110???0", ".!..!!..")], 0) == (1.0, 1.0, 1.0)
    assert event_scores([piece("0110???0", ".!....!!")], 0)[0] == 1 / 2
    assert event_scores([piece("0110???0", ".!....!!", "xxxxxxx.")], 0)[0] == 1.0
    assert event_scores([piece("011000", ".!....", "x..xxx")], 0)[1:] == (0.0, 0.0)


def test_undefined_figures_of_events() -> None:
    precision, recall, f1 = event_scores([piece("0110", "....")], 0)
    assert math.isnan(precision)
    assert (recall, f1) == (0.0, 0.0)
    precision, recall, f1 = event_scores([piece("0000", "..!.")], 0)
    assert precision == 0.0
    assert math.isnan(recall)
    assert math.isnan(f1)
    assert all(math.isnan(figure) for figure in event_scores([], 0))


def test_rows_between_the_alarms_of_an_event_are_predicted_too() -> None:
    labels, flags = "0011110001100110", "!.!..!.....!.!.!"
    between = "!!!!!!.....!!!!!"
    for merge, predicted in ((0, flags), (2, between)):
        given = [int(x) for x in labels], [x == "!" for x in predicted]
        wanted = [figure(*given) for figure in (precision_score, recall_score, f1_score)]
        assert row_scores([piece(labels, flags)], merge) == pytest.approx(wanted)


def test_rows_without_a_label_or_a_score_are_not_counted() -> None:
    assert row_scores([piece("01?0", ".!!.", "xxxx")], 0) == (1.0, 1.0, 1.0)
    assert row_scores([piece("0110", ".!!.", "xx.x")], 0)[:2] == (1.0, 0.5)
    assert all(math.isnan(figure) for figure in row_scores([piece("00", "..")], 0))


def test_point_adjusted_f1_is_the_f1_of_adjusted_flags() -> None:
    labels, flags = "0011110001100110", "!.!........!.!.!"
    adjusted = "!.!!!!.....!.!!!"
    expected = f1_score([int(x) for x in labels], [x == "!" for x in adjusted])
    assert point_adjusted_f1([piece(labels, flags)]) == pytest.approx(expected)
    halves = [piece(labels[:7], flags[:7]), piece(labels[7:], flags[7:])]
    assert point_adjusted_f1(halves) == pytest.approx(expected)


def test_point_adjusted_f1_undefined_without_anomalies() -> None:
    assert math.isnan(point_adjusted_f1([piece("00?", ".!.")]))
    assert math.isnan(random_point_adjusted_f1([piece("00?", ".!.")], 0))
    assert math.isnan(random_point_adjusted_f1([], 0))
    assert point_adjusted_f1([piece("010", "...")]) == 0.0


def test_random_flags_get_a_high_point_adjusted_f1_where_events_are_long() -> None:
    labels = np.zeros(10_000, np.int8)
    labels[4000:6000] = 1
    flags = np.zeros(10_000, bool)
    flags[::100] = True
    long = Piece(np.ones(10_000, np.float32), labels, flags)
    assert random_point_adjusted_f1([long], 0) > 0.9
    assert random_point_adjusted_f1([long], 0) == random_point_adjusted_f1([long], 0)
    assert random_point_adjusted_f1([long], 0) != random_point_adjusted_f1([long], 1)


def test_random_flags_fall_on_rows_with_a_score_only() -> None:
    only = piece("0110000", "!.....!", "x.....x")
    assert random_point_adjusted_f1([only], 3) == 0.0
    all_in = piece("0110000", ".!!....", ".xx....")
    assert random_point_adjusted_f1([all_in], 3) == 1.0
