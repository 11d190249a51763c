"""Decisions from posteriors made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from apps.tasks.detection import Detection, Detector

LABELS = ("no", "silence", "yes")
STEP = 0.02


def posteriors(*parts: tuple[int, float, str]) -> np.ndarray:
    """So many steps with such a posterior of a label, the rest with silence or `no`."""
    rows = []
    for steps, probability, label in parts:
        row = np.zeros(3)
        row[LABELS.index(label)] = probability
        row[0 if label == "silence" else 1] += 1 - probability
        rows += [row] * steps
    return np.array(rows)


def detected(given: np.ndarray, **settings: Any) -> list[Detection]:
    at_once = {"smooth_ms": 0.0, "refractory_ms": 0.0, "background": ("silence",)}
    found = Detector(LABELS, STEP, **{**at_once, **settings}).push(given)
    return [detection for detection in found if detection.label != "silence"]


def ends(found: Sequence[Detection]) -> list[float]:
    return [detection.end for detection in found]


def test_time_is_that_of_the_sound_and_begins_with_the_rise() -> None:
    given = posteriors((10, 0.1, "yes"), (5, 0.5, "yes"), (3, 0.9, "yes"))
    assert detected(given) == [Detection(start=0.2, end=0.32, label="yes", probability=0.9)]


def test_steps_may_come_in_any_pieces() -> None:
    given = posteriors((20, 0.1, "yes"), (9, 0.95, "yes"), (20, 0.1, "yes"), (9, 0.9, "no"))
    whole = detected(given, smooth_ms=100)
    detector = Detector(LABELS, STEP, smooth_ms=100, refractory_ms=0, background=("silence",))
    pieces = [detector.push(part) for part in np.split(given, [0, 1, 7, 22, 23, 40])]
    joined = [one for piece in pieces for one in piece if one.label != "silence"]
    assert joined == whole
    assert [one.label for one in whole] == ["yes", "no"]


def test_average_over_the_window_must_reach_the_threshold() -> None:
    # Four of five steps at 1 make 0.8; a single one makes 0.2.
    given = posteriors((10, 0.0, "yes"), (1, 1.0, "yes"), (10, 0.0, "yes"), (4, 1.0, "yes"))
    (found,) = detected(given, smooth_ms=100, on=0.8)
    assert found.end == pytest.approx(25 * STEP)
    assert found.probability == pytest.approx(0.8)
    assert detected(given[:-1], smooth_ms=100, on=0.8) == []


def test_a_stream_that_begins_within_a_word_is_not_decided_by_its_first_step() -> None:
    given = posteriors((5, 1.0, "yes"))
    assert ends(detected(given, smooth_ms=100, on=0.7)) == [pytest.approx(4 * STEP)]


def test_a_word_is_decided_again_only_after_it_fell_below_off() -> None:
    wavering = posteriors((5, 0.9, "yes"), (5, 0.5, "yes"), (5, 0.9, "yes"))
    assert len(detected(wavering)) == 1
    again = posteriors((5, 0.9, "yes"), (5, 0.3, "yes"), (5, 0.9, "yes"))
    assert ends(detected(again)) == [pytest.approx(0.02), pytest.approx(0.22)]


def test_maximum_over_the_window_bridges_a_short_fall() -> None:
    # The average falls below 0.4 for fewer steps than the window has.
    given = posteriors((10, 1.0, "yes"), (4, 0.0, "yes"), (10, 1.0, "yes"))
    assert len(detected(given, smooth_ms=100)) == 1
    longer = posteriors((10, 1.0, "yes"), (12, 0.0, "yes"), (10, 1.0, "yes"))
    assert len(detected(longer, smooth_ms=100)) == 2


def test_refractory_time_puts_the_next_word_off() -> None:
    given = posteriors((10, 0.9, "yes"), (30, 0.9, "no"))
    first, second = detected(given, refractory_ms=400)
    assert (first.label, second.label) == ("yes", "no")
    assert second.end - first.end == pytest.approx(0.4)
    gone = posteriors((10, 0.9, "yes"), (5, 0.9, "no"), (30, 0.9, "silence"))
    assert [one.label for one in detected(gone, refractory_ms=400)] == ["yes"]


def test_background_keeps_no_word_waiting() -> None:
    given = posteriors((10, 0.9, "silence"), (10, 0.9, "yes"))
    detector = Detector(LABELS, STEP, smooth_ms=0, refractory_ms=1000, background=("silence",))
    found = detector.push(given)
    assert [(one.label, one.end) for one in found] == [("silence", 0.02), ("yes", 0.22)]


def test_only_the_likeliest_class_is_decided() -> None:
    given = np.tile([0.35, 0.25, 0.4], (10, 1))
    assert [one.label for one in detected(given, on=0.3, off=0.2)] == ["yes"]


@pytest.mark.parametrize(
    "settings",
    [{"on": 0.3, "off": 0.4}, {"off": 0.0}, {"on": 1.1}, {"smooth_ms": -1}, {"refractory_ms": -1}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Detector(LABELS, STEP, **settings)
