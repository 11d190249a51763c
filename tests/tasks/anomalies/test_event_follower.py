"""Events of a stream, told as they begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from apps.tasks.anomalies.follower import EventFollower


def told(
    scores: Sequence[float], sizes: Sequence[int], gaps: tuple[int, ...] = ()
) -> list[dict[str, Any]]:
    """What is said of rows that are flagged from 5 on and come in chunks."""
    follower = EventFollower(["a", "b"], merge=2)
    found, start = [], 0
    for number, size in enumerate(sizes):
        score = np.array(scores[start : start + size])
        answer = {"score": score, "flag": score >= 5, "channel": (score > 8).astype(int)}
        times = [f"t{row}" for row in range(start, start + size)]
        found += follower.push(answer, (times, start, number in gaps))
        start += size
    return [decision.fields for decision in found + follower.finish()]


SCORES = [0, 6, 0, 9, 7, 0, 0, 0, 0, 5, 0, 0]


@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 7], [4, 4, 4]])
def test_events_do_not_depend_on_how_rows_are_cut(sizes: list[int]) -> None:
    first, ended, second, last = told(SCORES, sizes)
    assert first == {"event": "begins", "row": 1, "time": "t1", "score": 6, "channel": "a"}
    assert ended == {
        "event": "ends",
        "start": 1,
        "end": 4,
        "peak": 3,
        "score": 9,
        "channel": "b",
        "from": "t1",
        "to": "t4",
    }
    assert [second["event"], second["row"]] == ["begins", 9]
    assert [last["event"], last["start"], last["end"]] == ["ends", 9, 9]


def test_an_event_ends_at_a_gap_and_at_the_end() -> None:
    events = told([0, 6, 7, 6, 0, 6], [3, 3], gaps=(1,))
    spans = [(event["start"], event["end"]) for event in events if event["event"] == "ends"]
    assert spans == [(1, 2), (3, 5)]


def test_without_a_flag_nothing_is_said() -> None:
    assert told([0, 1, 4], [3]) == []
    assert told([], []) == []
