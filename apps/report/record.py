"""What a run folder says about a run; a missing or damaged file is named, never fatal."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.errors import UserError
from apps.report.quantities import LOSS, Metric, finite


@dataclass(frozen=True)
class Record:
    """Everything that the run folder says about a run, as far as it exists.

    Attributes:
        settings: `config.json`: application, config, data, seed.
        environment: `environment.json`: versions, device, machine, command; texts and numbers.
        history: column name to its values, one per epoch; NaN where a cell is empty.
        results: `metrics.json`: examples, metrics, interval, baselines, cost, seconds, best.
        problems: one sentence for each file that is missing or cannot be read.
        metrics: the task's declarations of its metrics, by name.
    """

    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    history: Mapping[str, list[float]]
    results: Mapping[str, Any]
    problems: tuple[str, ...]
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def metric(self, name: str) -> Metric:
        """The declaration of a metric; one without a direction if the name is not known."""
        return self.metrics.get(name) or Metric.unknown(name)

    @property
    def application(self) -> str:
        """Name of the application, empty where it is not known."""
        return str(self.settings.get("application") or "")

    @property
    def epochs(self) -> list[float]:
        """Numbers of the finished epochs, in order."""
        return self.history.get("epoch", [])

    @property
    def best_epoch(self) -> float | None:
        """The epoch whose weights were kept, where it is known."""
        epoch = numbers(section(self.results, "best")).get("epoch", math.nan)
        return epoch if finite(epoch) else None


def section(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under a key; empty where there is none, or something else."""
    value = table.get(key)
    return value if isinstance(value, Mapping) else {}


def numbers(table: Mapping[str, Any]) -> dict[str, float]:
    """The entries of an object that are numbers, NaN and infinities included."""
    return {
        str(key): value
        for key, value in table.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def read_record(folder: Path, metrics: Iterable[Metric] = ()) -> Record:
    """Read the files of a run that a report shows.

    Args:
        folder: a run folder; the run may be in progress or interrupted.
        metrics: what the run's task declares.

    Returns:
        The record, with a sentence for each file that is missing or damaged.

    Raises:
        UserError: the folder does not exist.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder; give the folder that train wrote")
    problems: list[str] = []
    return Record(
        settings=_read_object(folder / "config.json", "The configuration is not known.", problems),
        environment=_read_object(
            folder / "environment.json", "Versions and machine are not known.", problems
        ),
        history=_read_history(folder / "history.csv", problems),
        results=_read_object(
            folder / "metrics.json",
            "The run is in progress or was interrupted before its final evaluation.",
            problems,
        ),
        problems=tuple(problems),
        metrics={one.name: one for one in (LOSS, *metrics)},
    )


def read_predictions(folder: Path) -> list[dict[str, Any]]:
    """Rows of `predictions.jsonl`: the finished model's answer to each validation example.

    Args:
        folder: a run folder.

    Returns:
        One mapping per row, as written; empty where the file is missing. A last line that was cut
        off by an interruption is left out.
    """
    return list(_prediction_rows(folder / "predictions.jsonl"))


def _prediction_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict):
                    yield row
    except FileNotFoundError:
        return


def _read_object(path: Path, consequence: str, problems: list[str]) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"{path.name} is missing. {consequence}")
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} cannot be read ({error}). {consequence}")
        return {}
    if not isinstance(value, dict):
        problems.append(f"{path.name} does not hold a JSON object. {consequence}")
        return {}
    return value


def _read_history(path: Path, problems: list[str]) -> dict[str, list[float]]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.reader(lines))
    except FileNotFoundError:
        problems.append(f"{path.name} is missing. No epoch has finished yet.")
        return {}
    except (OSError, ValueError, csv.Error) as error:
        problems.append(f"{path.name} cannot be read ({error}). There are no learning curves.")
        return {}
    header = rows[0] if rows else []
    epoch = header.index("epoch") if "epoch" in header else None
    whole = [
        row
        for row in rows[1:]
        if epoch is not None and len(row) == len(header) and finite(_cell(row[epoch]))
    ]
    if not whole:
        problems.append(f"{path.name} holds no epoch yet. There are no learning curves.")
        return {}
    damaged = len(rows) - 1 - len(whole)
    if damaged:
        problems.append(f"{path.name}: {damaged} incomplete row(s) left out.")
    return {name: [_cell(row[i]) for row in whole] for i, name in enumerate(header)}


def _cell(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
