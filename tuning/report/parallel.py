"""Parallel coordinates: a line for each configuration through an axis for each hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.report.quantities import excerpt, finite, words
from tuning.record import DEFAULT, SearchRecord, TrialRow
from tuning.report.columns import Axis, axis, columns, configurations, searched, short
from tuning.report.objective import Objective

_TOP, _HEIGHT, _BOTTOM, _SIDE = 62, 240, 20, 42
_WIDTH, _NARROWEST, _WIDEST = 870, 66, 130


@dataclass(frozen=True)
class DrawnAxis:
    """An axis in pixels: its place, its name in lines, and its ticks as height and text."""

    x: float
    title: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class DrawnLine:
    """A trial's line.

    Attributes:
        trial: its id.
        path: of SVG, with a gap where a hyperparameter is inactive.
        shade: 0 for the worst to 1 for the best completed trial.
        kind: `best`, `default`, `failed` or empty.
        about: the trial in one line.
    """

    trial: str
    path: str
    shade: float
    kind: str
    about: str


@dataclass(frozen=True)
class ParallelCoordinates:
    """What the template draws, in pixels; lines in the order in which they cover each other."""

    width: float
    height: float
    top: float
    bottom: float
    axes: tuple[DrawnAxis, ...]
    lines: tuple[DrawnLine, ...]
    alt: str


def parallel_coordinates(record: SearchRecord) -> ParallelCoordinates | None:
    """A line for each configuration of a search; None where none has ended."""
    rows = [row for row in configurations(record.trials) if row.status != "RUNNING"]
    names = searched(record)
    if not rows or not names:
        return None
    objective = Objective.of(record.settings)
    tables = {row.id: columns(row.values) for row in rows}
    scales = [
        axis(name, [t[name] for t in tables.values() if name in t], record.settings)
        for name in names
    ]
    spacing = min(max(_WIDTH / len(names), _NARROWEST), _WIDEST)
    scores = [row.score for row in rows if row.score is not None and finite(row.score)]
    places = [
        DrawnAxis(_SIDE + spacing * i, _lines(scale.name), _ticks(scale))
        for i, scale in enumerate(scales)
    ]
    outcome = Axis("score", min(scores, default=0.0), max(scores, default=0.0))
    last = _SIDE + spacing * len(scales)
    marks = [(at if objective.maximise else 1 - at, v) for at, v in _ends(outcome)]
    ticks = tuple((_height(at), objective.written(value)) for at, value in marks)
    places.append(DrawnAxis(last, _lines(objective.name), ticks))
    shades = _shades(rows, objective)
    board = record.leaderboard()
    winner = str((record.best or {}).get("id", board[0].id if board else ""))
    lines = []
    for row in rows:
        heights = [scale.position(tables[row.id].get(scale.name)) for scale in scales]
        end = outcome.position(row.score)
        heights.append(end if end is None or objective.maximise else 1 - end)
        kind = "best" if row.id == winner else "default" if row.id == DEFAULT else ""
        lines.append(
            DrawnLine(
                trial=row.id,
                path=_path([place.x for place in places], heights),
                shade=shades.get(row.id, 0.0),
                kind="failed" if row.status == "FAILED" else kind,
                about=_about(row, objective),
            )
        )
    lines.sort(
        key=lambda line: (line.kind != "failed", line.kind in ("default", "best"), line.shade)
    )
    return ParallelCoordinates(
        width=last + _SIDE + 10,
        height=_TOP + _HEIGHT + _BOTTOM,
        top=_TOP,
        bottom=_TOP + _HEIGHT,
        axes=tuple(places),
        lines=tuple(lines),
        alt=f"{len(rows)} configurations over {', '.join(map(words, names))} and {objective.title}",
    )


def _shades(rows: Sequence[TrialRow], objective: Objective) -> dict[str, float]:
    """The share of the others that a trial beats, squared so that only the best stand out."""
    scores = {row.id: row.score for row in rows if row.score is not None and finite(row.score)}
    others = max(1, len(scores) - 1)
    return {
        trial: (sum(objective.gain(score, other) > 0 for other in scores.values()) / others) ** 2
        for trial, score in scores.items()
    }


def _path(xs: Sequence[float], heights: Sequence[float | None]) -> str:
    pieces, drawing = [], False
    for x, at in zip(xs, heights, strict=True):
        if at is None:
            drawing = False
            continue
        pieces.append(f"{'L' if drawing else 'M'}{x:g} {_height(at):.1f}")
        # A point between two gaps has no length; `h0` gives it round ends, which show it.
        pieces.append("" if drawing else "h0")
        drawing = True
    return "".join(pieces)


def _about(row: TrialRow, objective: Objective) -> str:
    result = f"{objective.written(row.score)} {objective.title}" if row.score is not None else ""
    result = result or f"failed: {excerpt(row.reason, 120)}"
    values = ", ".join(f"{words(name)} {short(value)}" for name, value in row.values.items())
    return excerpt(f"Trial {row.id}: {result}; {values}", 600)


def _ends(scale: Axis) -> list[tuple[float, float]]:
    if scale.low == scale.high:
        return [(0.5, scale.low)]
    return [(at, scale.low + at * (scale.high - scale.low)) for at in (0.0, 0.25, 0.5, 0.75, 1.0)]


def _ticks(scale: Axis) -> tuple[tuple[float, str], ...]:
    said = {"True": "yes", "False": "no"}
    return tuple((_height(at), excerpt(said.get(text, text), 9)) for at, text in scale.ticks())


def _height(at: float) -> float:
    return _TOP + _HEIGHT * (1 - at)


def _lines(name: str) -> tuple[str, ...]:
    """A name in lines, short enough not to reach the next axis if its words allow it."""
    lines: list[str] = []
    for word in excerpt(words(name), 36).split():
        if lines and len(lines[-1]) + len(word) < 10:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return tuple(lines[:3])
