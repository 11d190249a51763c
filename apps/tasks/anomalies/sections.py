"""What a report shows of anomalies, from rows of `predictions.jsonl` alone.

A row is a piece of a series: `place`, `truth` (series, first row, labels and values), `score`, the
bands and the `events` in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.report.sections import Section
from apps.report.templates import render
from apps.report.timelines import score_timeline, value_timeline
from apps.tasks.anomalies.pieces import runs_of

_TEMPLATE = "tasks/anomalies/sections.html.j2"
_LINES, _CHANNELS, _EVENTS = 6, 4, 40


def anomaly_sections(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Time lines of the most surprising pieces and of labelled ones, and a table of the alarms."""
    if not rows:
        return []
    heights = np.array([max(row["score"], default=0.0) for row in rows])
    labelled = [number for number, row in enumerate(rows) if 1 in row["truth"]["labels"]]
    chosen = [*np.argsort(-heights, kind="stable")[: _LINES // 2].tolist(), *labelled]
    shown = sorted(dict.fromkeys(chosen))[:_LINES]
    lines = [_line(number, rows[number]) for number in shown]
    events = [
        {**event, "place": row["place"], "first": row["truth"]["row"], "labelled": _met(row, event)}
        for row in rows
        for event in row["events"]
    ]
    events.sort(key=lambda event: -event["score"])
    return [
        Section("Time lines", render(_TEMPLATE, part="lines", lines=lines)),
        Section(
            "Alarms",
            render(
                _TEMPLATE,
                part="alarms",
                events=events[:_EVENTS],
                count=len(events),
                pieces=len(rows),
                known=any(label >= 0 for row in rows for label in row["truth"]["labels"]),
            ),
        ),
    ]


def _line(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    truth, first = row["truth"], row["truth"]["row"]
    starts, ends = runs_of(np.array(truth["labels"]) == 1)
    labelled = list(zip(starts.tolist(), ends.tolist(), strict=True))
    alarms = [(event["start"], event["end"]) for event in row["events"]]
    values, low, high = (_array(one) for one in (truth["values"], row["low"], row["high"]))
    blamed = [row["channels"].index(event["channel"]) for event in row["events"]]
    order = list(dict.fromkeys([*blamed, *range(len(row["channels"]))]))[:_CHANNELS]
    charts = [
        (
            row["channels"][channel],
            value_timeline(
                f"piece {number} {row['channels'][channel]}",
                first,
                values[:, channel],
                low[:, channel],
                high[:, channel],
                labelled,
                alarms,
            ),
        )
        for channel in order
    ]
    chart = score_timeline(
        f"piece {number} score", first, row["score"], row["threshold"], labelled, alarms
    )
    return {"place": row["place"], "charts": [*charts, ("score", chart)]}


def _met(row: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    return 1 in row["truth"]["labels"][event["start"] : event["end"] + 1]


def _array(rows: Sequence[Sequence[float | None]]) -> np.ndarray:
    return np.array([[np.nan if v is None else v for v in row] for row in rows], float)
