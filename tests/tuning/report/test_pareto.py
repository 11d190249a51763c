"""The non-dominated trials of metric against latency."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuning.report.pareto import Point, front


def test_a_point_that_another_beats_in_both_is_not_on_the_front() -> None:
    points: list[Point] = [(0.8, 5.0), (0.9, 9.0), (0.85, 9.5), (0.7, 4.0), (0.79, 6.0)]
    assert front(points, maximise=True) == [3, 0, 1]


def test_where_less_is_better_the_front_turns_over() -> None:
    points: list[Point] = [(0.8, 5.0), (0.9, 9.0), (0.7, 9.5), (0.95, 4.0)]
    assert front(points, maximise=False) == [3, 0, 2]


@pytest.mark.parametrize("maximise", [True, False])
def test_equal_points_share_the_front_and_equal_costs_do_not(maximise: bool) -> None:
    equal: list[Point] = [(0.8, 5.0), (0.8, 5.0)]
    assert front(equal, maximise) == [0, 1]
    better = 1 if maximise else 0
    assert front([(0.7, 5.0), (0.8, 5.0)], maximise) == [better]
    assert front([(0.8, 6.0), (0.8, 5.0)], maximise) == [1]


def test_a_point_without_score_or_cost_is_never_on_the_front() -> None:
    points: list[Point] = [(None, 1.0), (0.9, None), (math.nan, 1.0), (math.inf, 1.0), (0.5, 7.0)]
    assert front(points, maximise=True) == [4]
    assert front(points[:4], maximise=True) == []
    assert front([], maximise=True) == []


@pytest.mark.parametrize("maximise", [True, False])
def test_the_front_is_what_comparing_all_pairs_gives(maximise: bool) -> None:
    generator = np.random.default_rng(0)
    sign = 1 if maximise else -1
    for _ in range(50):
        drawn = generator.integers(0, 6, (12, 2)).astype(float)
        points: list[Point] = [(float(score), float(cost)) for score, cost in drawn]

        def beaten(at: int, drawn: np.ndarray = drawn) -> bool:
            gain = sign * (drawn[:, 0] - drawn[at, 0])
            saving = drawn[at, 1] - drawn[:, 1]
            return bool(((gain >= 0) & (saving >= 0) & ((gain > 0) | (saving > 0))).any())

        assert sorted(front(points, maximise)) == [i for i in range(12) if not beaten(i)]
