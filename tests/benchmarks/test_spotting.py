"""How decisions are held against the truth."""

from __future__ import annotations

import pytest

from apps.tasks.detection import Detection
from benchmarks.spotting import SpokenWord, spotting


def decision(label: str, end: float) -> Detection:
    return Detection(end - 0.3, end, label, 0.9)


def test_misses_false_alarms_and_delays_are_told_apart() -> None:
    truth = [
        SpokenWord("yes", 1.0, 1.5),
        SpokenWord("no", 3.0, 3.5),
        SpokenWord("yes", 5.0, 5.5),
        SpokenWord("no", 7.0, 7.5),
    ]
    decisions = [
        decision("yes", 1.7),
        decision("yes", 1.9),  # The same word twice.
        decision("no", 3.4),
        decision("no", 5.6),  # One word for another.
        decision("no", 8.6),  # Too late.
    ]
    found = spotting(decisions, truth, tolerance=1.0, seconds=1800)
    assert (found.words, found.misses, found.false_alarms) == (4, 2, 3)
    assert found.false_alarms_per_hour == pytest.approx(6)
    assert found.miss_rate == pytest.approx(0.5)
    assert found.delays == (pytest.approx(0.2), pytest.approx(-0.1))
    assert found.median_delay == pytest.approx(0.05)


def test_two_words_close_by_are_both_found() -> None:
    truth = [SpokenWord("yes", 1.0, 1.4), SpokenWord("yes", 1.6, 2.0)]
    found = spotting([decision("yes", 1.7), decision("yes", 2.1)], truth, tolerance=1.0, seconds=9)
    assert (found.misses, found.false_alarms) == (0, 0)


def test_silence_without_decisions_has_no_delay() -> None:
    found = spotting([], [], tolerance=1.0, seconds=60)
    assert (found.misses, found.miss_rate, found.false_alarms_per_hour) == (0, 0.0, 0.0)
    assert found.median_delay is None
