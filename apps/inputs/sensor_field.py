"""The field of the page for sensors: a table, whose events are drawn over its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.data.panels.stretches import values
from apps.data.panels.windows import SERIES, START
from apps.inputs.history_field import HistoryField, SeriesRequests
from apps.report.templates import render
from apps.report.timelines import score_timeline, value_timeline

_TEMPLATE = "inputs/sensor_field.html.j2"
_CHANNELS, _EVENTS = 4, 30


class Events(SeriesRequests):
    """Whole stretches of some series, and how the events in them look."""

    def shown(self, answers: Sequence[Mapping[str, Any]]) -> str:
        """Charts of the channels with alarms, the scores, and a table of the events."""
        drawn = [self._drawn(number, answer) for number, answer in enumerate(answers)]
        return str(render(_TEMPLATE, series=drawn, left=self._count - len(answers)))

    def _drawn(self, number: int, answer: Mapping[str, Any]) -> dict[str, Any]:
        one, start = self._units[SERIES][number], int(self._units[START][number])
        events, score = answer["events"], np.array(answer["score"], float)
        rows = len(score)
        known = values(one, start, start + rows)
        low, high = (
            np.array([[np.nan if v is None else v for v in row] for row in answer[name]], float)
            for name in ("low", "high")
        )
        alarms = [(event["start"], event["end"]) for event in events]
        names = answer["channels"]
        blamed = [names.index(event["channel"]) for event in events]
        channels = list(dict.fromkeys([*blamed, *range(len(names))]))[:_CHANNELS]
        charts = [
            (
                names[channel],
                value_timeline(
                    f"{number + 1} {names[channel]}",
                    0,
                    known[:, channel],
                    low[:, channel],
                    high[:, channel],
                    [],
                    alarms,
                ),
            )
            for channel in channels
        ]
        threshold = float(answer["threshold"])
        charts.append(
            ("score", score_timeline(f"{number + 1} score", 0, score, threshold, [], alarms))
        )
        return {
            "name": one.name or one.source,
            "rows": rows,
            "charts": charts,
            "events": events[:_EVENTS],
            "count": len(events),
        }


class SensorField(HistoryField):
    """Takes a table, and asks which rows of its first series are not as they should be."""

    drawn_by = Events
