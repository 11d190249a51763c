"""Events of a stream, told as they begin and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.following import Decision, Follower


class EventFollower(Follower):
    """Puts flagged rows of a stream together to events.

    `end` of a chunk is the times of its rows as they were written, the number of the first of them,
    and whether a gap lies before it. An event ends at a gap.

    Args:
        channels: names.
        merge: flagged rows with at most so many rows between them are one event.
    """

    def __init__(self, channels: Sequence[str], merge: int) -> None:
        self._channels, self._merge = list(channels), merge
        self._event: dict[str, Any] | None = None
        self._last = 0

    def push(self, answer: Mapping[str, np.ndarray], end: Any) -> list[Decision]:
        times, first, after_gap = end
        found = self._closed() if after_gap else []
        for place, time in enumerate(times):
            row = first + place
            reach = self._merge + int(answer["flag"][place])
            if self._event is not None and row - self._event["end"] > reach:
                found += self._closed()
            if not answer["flag"][place]:
                continue
            score = round(float(answer["score"][place]), 3)
            channel = self._channels[int(answer["channel"][place])]
            if self._event is None:
                self._event = {
                    "start": row,
                    "end": row,
                    "peak": row,
                    "score": score,
                    "channel": channel,
                    "from": time,
                    "to": time,
                }
                fields = {"event": "begins", "row": row, "time": time, "score": score}
                found.append(
                    Decision(
                        {**fields, "channel": channel},
                        f"{time}  alarm: {channel}, score {score:.1f}",
                    )
                )
                continue
            self._event |= {"end": row, "to": time}
            if score > self._event["score"]:
                self._event |= {"score": score, "peak": row, "channel": channel}
        return found

    def finish(self) -> list[Decision]:
        return self._closed()

    def _closed(self) -> list[Decision]:
        event, self._event = self._event, None
        if event is None:
            return []
        rows = event["end"] - event["start"] + 1
        text = (
            f"{event['to']}  ended: {event['channel']}, {rows} row{'s' * (rows > 1)} since "
            f"{event['from']}, highest score {event['score']:.1f}"
        )
        return [Decision({"event": "ends", **event}, text)]
