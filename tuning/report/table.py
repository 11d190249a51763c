"""The page's table of all trials: figures as texts, and the values that they sort by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.report.quantities import MISSING, capital, decimal, duration, excerpt, finite, words
from tuning.record import SearchRecord, TrialRow
from tuning.report.columns import columns, searched, short
from tuning.report.objective import Objective


@dataclass(frozen=True)
class Heading:
    """A column's name, and whether it holds numbers."""

    text: str
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """A text, the value that it sorts by (empty sorts last), and its class in the page."""

    text: str
    value: str = ""
    kind: str = "number"


@dataclass(frozen=True)
class Line:
    """A trial's row: its id, and a cell for each heading."""

    trial: str
    cells: tuple[Cell, ...]
    best: bool


def ordered(record: SearchRecord) -> list[TrialRow]:
    """All trials: the ranked ones best first, then over the budget, running, and failed."""
    ranked = record.leaderboard()
    known = {row.id for row in ranked}
    others = [row for row in record.trials if row.id not in known]
    order = {"COMPLETED": 0, "RUNNING": 1, "FAILED": 2}
    return ranked + sorted(others, key=lambda row: (order[row.status], row.id))


def table(record: SearchRecord) -> tuple[list[Heading], list[Line]]:
    """Headings and rows of the leaderboard; no rows where no trial has begun."""
    objective = Objective.of(record.settings)
    names = searched(record)
    headings = [
        Heading("Trial", numeric=False),
        Heading("Status", numeric=False),
        Heading(capital(objective.title)),
        *(Heading(words(name)) for name in names),
        *(Heading(text) for text in ("Epochs", "Time", "Latency", "Parameters")),
        Heading("Remarks", numeric=False),
    ]
    winner = (record.best or {}).get("id")
    lines = []
    for row in ordered(record):
        values = columns(row.values)
        latency, parameters = row.cost.get("latency_ms"), row.cost.get("parameters")
        cells = (
            Cell(row.id, row.id),
            Cell(row.status.lower(), row.status.lower(), row.status),
            _figure(objective.written(row.score), row.score),
            *(_value(values.get(name)) for name in names),
            _figure(str(row.epochs), row.epochs),
            _figure(duration(row.seconds), row.seconds),
            _figure(milliseconds(latency), latency),
            _figure(decimal(parameters), parameters),
            Cell(excerpt(remarks(row), 300), remarks(row), "remark"),
        )
        lines.append(Line(row.id, cells, row.id == winner))
    return headings, lines


def remarks(row: TrialRow) -> str:
    """Further facts about a trial; empty where there are none."""
    said = [row.reason] if row.reason else []
    if not row.feasible and row.status == "COMPLETED":
        said.append("over the budget")
    if row.accumulation_steps > 1:
        said.append(f"batches in {row.accumulation_steps} pieces to save memory")
    if row.continues is not None:
        said.append(f"goes on with {row.continues}")
    return "; ".join(said)


def milliseconds(value: Any) -> str:
    """A latency to three digits, `"11.6 ms"`; a dash where it is no finite number."""
    if not finite(value):
        return MISSING
    return f"{value:.3g}\u202fms" if value < 1000 else f"{value:,.0f}\u202fms"


def _figure(text: str, value: Any) -> Cell:
    return Cell(text, f"{value:.12g}") if finite(value) else Cell("")


def _value(value: Any) -> Cell:
    if value is None:
        return Cell("")
    if isinstance(value, bool) or not finite(value):
        return Cell(excerpt(short(value), 40), short(value))
    return Cell(short(value), f"{value:.12g}")
