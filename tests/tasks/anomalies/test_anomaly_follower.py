"""Events of a stream are those of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from apps.tasks.anomalies.events import events_of
from apps.tasks.anomalies.follower import EventFollower


@pytest.mark.parametrize("merge", [0, 1, 4])
def test_a_stream_ends_the_events_of_the_whole(merge: int) -> None:
    draw = np.random.default_rng(merge)
    flags = draw.random(300) < 0.2
    # The last event has ended.
    flags[-merge - 2 :] = False
    follower = EventFollower(["flow"], merge)
    found = []
    for start in range(0, 300, 7):
        piece = flags[start : start + 7]
        answer = {"flag": piece, "score": piece * 1.0, "channel": np.zeros(len(piece), int)}
        end = ([""] * len(piece), start, False)
        found += follower.push(answer, end)
    said = [one.fields for one in found]
    ended = [(one["start"], one["end"]) for one in said if one["event"] == "ends"]
    assert ended == events_of(flags, merge)
    assert [one["row"] for one in said if one["event"] == "begins"] == [one for one, _ in ended]
    assert follower.finish() == []
