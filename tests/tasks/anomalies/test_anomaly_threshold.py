"""Thresholds that raise as many alarms as asked for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from apps.tasks.anomalies.threshold import threshold_for

ROWS = 400_000


@pytest.mark.parametrize("block", [1, 10])
@pytest.mark.parametrize("share", [1e-2, 1e-3])
def test_alarms_are_as_many_as_asked_for(block: int, share: float) -> None:
    draw = np.random.default_rng(0)
    found = threshold_for(list(draw.exponential(size=(4, 25_000))), block, share)
    blocks = draw.exponential(size=(ROWS // block, block)).max(1)
    alarms = int((blocks >= found).sum())
    assert 0.65 * share * ROWS < alarms < 1.5 * share * ROWS


@pytest.mark.parametrize("seed", range(10))
def test_what_has_not_been_seen_is_gone_on_with(seed: int) -> None:
    scores = np.random.default_rng(seed).exponential(size=10_000)
    found = threshold_for([scores], 10, 1e-6)
    # An alarm in a million rows, of which the highest score of a hundredth tells.
    share = np.exp(-found)
    assert 0.1e-6 < share < 10e-6


def test_the_seldomer_alarms_are_to_be_the_higher_the_threshold() -> None:
    scores = [np.random.default_rng(0).exponential(size=2000)]
    shares = np.logspace(-1, -8, 15)
    found = [threshold_for(scores, 5, share) for share in shares]
    assert all(a <= b for a, b in pairwise(found))
    assert np.isfinite(found).all()


def test_rows_that_do_not_count_are_left_out() -> None:
    scores = np.random.default_rng(0).exponential(size=3000)
    with_holes = np.full((3000, 2), np.nan)
    with_holes[:, 0] = scores
    found = threshold_for([with_holes.ravel(), np.full(50, np.nan), np.zeros(0)], 20, 1e-3)
    assert found == threshold_for([scores], 10, 1e-3 * 2)


def test_without_a_score_nothing_is_flagged() -> None:
    assert threshold_for([], 10, 0.01) == np.inf
    assert threshold_for([np.zeros(0), np.full(30, np.nan)], 10, 0.01) == np.inf


def test_few_and_equal_scores_have_a_threshold() -> None:
    assert threshold_for([np.array([3.0])], 10, 1e-9) == 3.0
    assert threshold_for([np.zeros(500)], 10, 1e-9) == 0.0
    # All blocks may raise an alarm.
    assert threshold_for([np.arange(100.0)], 10, 1.0) == 9.0
