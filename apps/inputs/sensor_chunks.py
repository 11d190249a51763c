"""Rows of sensors as chunks of a stream: a table that grows, or one that is read as it is."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from apps import environment
from apps.data.panels import naming
from apps.errors import UserError
from apps.following import Chunk
from apps.inputs.sensor_rows import SensorOptions, SensorRows

# Chunks have one of these sizes, so that the graph is traced so often at most.
_SIZES = (256, 16, 1)
# So many steps at the beginning tell which of the learnt ones a sensor has, if it has one.
_TELLING, _OFF = 20, 0.1


def sensor_chunks(
    source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: SensorOptions
) -> Iterator[Chunk]:
    """The rows of a table in the order in which they come.

    Rows that are not later than the one before are dropped and counted. After a gap a stream
    begins.

    Args:
        source: a file, or the stream of bytes of one, whose first line names the columns.
        metadata: `channels`, `gap`, and how times and numbers are written.
        options: how cells are told apart and numbers are written.

    Yields:
        `series` `(1, rows, channels)` float64 and, where rows are dated, `time` `(1, rows)`; their
        times as written, the number of the first, and whether a gap lies before them.

    Raises:
        UserError: the first line lacks a channel, a row is not as wide as that, a cell is no
            number, or rows come in other steps than those that were learnt; names the line.
    """
    rows = SensorRows(source, metadata, options)
    dated = metadata["channels"]["step"]["dated"]
    pace = _Pace(rows.name, metadata["channels"])
    number = late = first_late = 0
    last = -np.inf
    for block in rows:
        before = np.fmax.accumulate(np.concatenate([[last], block.moments]))
        in_time = block.moments > before[:-1]
        if not in_time.all():
            late += int((~in_time).sum())
            first_late = first_late or block.lines[int(np.argmin(in_time))]
            if not in_time.any():
                continue
        moments, values = block.moments[in_time], block.values[in_time]
        times = [time for time, there in zip(block.times, in_time, strict=True) if there]
        apart = np.diff(moments, prepend=last)
        gaps = apart > metadata["gap"] * pace.usual(apart)
        gaps[0] &= np.isfinite(last)
        last = float(moments[-1])
        edges = [0, *(1 + np.flatnonzero(gaps[1:])).tolist(), len(moments)]
        for start, stop in _pieces(edges):
            arrays = {"series": values[None, start:stop]}
            if dated:
                arrays["time"] = moments[None, start:stop]
            gap = bool(gaps[start])
            yield Chunk(arrays, (times[start:stop], number + start, gap), gap)
        number += len(moments)
    if late:
        environment.say(
            f"{rows.name}: {naming.counted(late, 'row')} came late and were dropped, the first is "
            f"in line {first_late}"
        )


def _pieces(edges: list[int]) -> Iterator[tuple[int, int]]:
    """Chunks of known sizes between edges."""
    start = 0
    for edge in edges[1:]:
        while start < edge:
            stop = start + next(size for size in _SIZES if size <= edge - start)
            yield start, stop
            start = stop


class _Pace:
    """Which of the steps that were learnt a sensor has."""

    def __init__(self, name: str, channels: Mapping[str, Any]) -> None:
        self._name = name
        self._known = channels.get("steps") or [channels["step"]]
        self._sizes = np.array([float(step["size"]) for step in self._known])
        self._seen: list[float] = []
        self._chosen = float(self._sizes.max())

    def usual(self, apart: np.ndarray) -> np.ndarray:
        """The usual step at each of some rows that follow, `(rows,)`; the largest at first.

        Raises:
            UserError: the first rows show that it is none of those that were learnt.
        """
        found = np.full(len(apart), self._chosen)
        missing = _TELLING - len(self._seen)
        if missing <= 0:
            return found
        finite = np.flatnonzero(np.isfinite(apart))[:missing]
        self._seen += apart[finite].tolist()
        if len(self._seen) == _TELLING:
            self._chosen = self._choose(float(np.median(self._seen)))
            found[finite[-1] + 1 :] = self._chosen
        return found

    def _choose(self, usual: float) -> float:
        nearest = int(np.argmin(np.abs(np.log(self._sizes / usual))))
        size = float(self._sizes[nearest])
        if all(step["regular"] for step in self._known) and abs(usual - size) > _OFF * size:
            unit = " seconds" if self._known[0]["dated"] else ""
            known = ", ".join(f"{size:g}{unit}" for size in self._sizes)
            raise UserError(
                f"{self._name}: its rows lie {usual:g}{unit} apart, those that were learnt from "
                f"{known}; bring it to that step, or train on rows like these"
            )
        return size
