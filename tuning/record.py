"""What a search has found so far, for `show`, the terminal and the report."""

from __future__ import annotations

import dataclasses
import os
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from apps.errors import UserError
from tuning.folder import RESULT, STATE, damaged, read_json, read_settings, read_state
from tuning.settings import SearchSettings

DEFAULT = "0000"
Phase = Literal["searching", "finals", "done"]


@dataclass(frozen=True)
class TrialRow:
    """One trial as it stands.

    Attributes:
        id: `0000` is the default configuration.
        status: `RUNNING`, `COMPLETED` or `FAILED`.
        score: the objective at the best epoch; None unless it completed.
        values: the active hyperparameters, searched or given, as the Config has them.
        seconds: spent on it in all.
        reason: why it failed.
        metrics: validation metrics of the best epoch.
        cost: `parameters`, `latency_ms`, `size_mb`, `memory_mb`.
        epochs: completed in all, including those of the trial that it continues.
        accumulation_steps: 2 where batches went through in halves after running out of memory.
        round: of Hyperband's bracket; None with other algorithms.
        continues: id of the trial whose training it goes on with.
        feasible: whether it is within the budget.
        started, ended: seconds since the search began, without pauses.
    """

    id: str
    status: Literal["RUNNING", "COMPLETED", "FAILED"]
    score: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    accumulation_steps: int = 1
    round: int | None = None
    continues: str | None = None
    feasible: bool = True
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Finalist:
    """A configuration retrained with several seeds.

    Attributes:
        trial: id of the trial that found it.
        values: its hyperparameters, as in the trial.
        scores: the objective for each seed.
        mean: of the scores.
        spread: their standard deviation with n - 1; 0 for a single score.
    """

    trial: str
    values: Mapping[str, Any]
    scores: tuple[float, ...]
    mean: float
    spread: float


@dataclass(frozen=True)
class SearchRecord:
    """A search as it stands.

    Attributes:
        settings: what was asked for.
        trials: in the order in which they began, without the finals.
        finals: best first, compared on the seeds that all have met.
        best: the winner: `id`, `score` (mean over the seeds), `spread`, `seeds`, `values`; before
            the finals the best trial with `seeds` 0.
        test: metrics of the winner on the test source, with `interval`, `baselines`.
        elapsed: seconds that the search has taken, without pauses.
        phase: where it stands.
        failed_finals: why retrainings failed.
    """

    settings: SearchSettings
    trials: tuple[TrialRow, ...]
    finals: tuple[Finalist, ...] = ()
    best: Mapping[str, Any] | None = None
    test: Mapping[str, Any] | None = None
    elapsed: float = 0.0
    phase: Phase = "searching"
    failed_finals: tuple[str, ...] = ()

    def leaderboard(self) -> list[TrialRow]:
        """Completed trials within the budget, best first; equal ones in the order they began."""
        return ranked(self.trials, self.settings.maximise)


def ranked(rows: Iterable[TrialRow], maximise: bool) -> list[TrialRow]:
    """Completed trials within the budget, best first; equal ones in the order they began."""
    sign = -1.0 if maximise else 1.0
    scored = [row for row in rows if row.score is not None and row.feasible]
    return sorted(scored, key=lambda row: (sign * (row.score or 0.0), row.id))


def retrained(
    rows: Mapping[str, TrialRow], chosen: Iterable[str], maximise: bool
) -> list[Finalist]:
    """Finalists that never failed, on the seeds that all of them have met, best mean first."""
    met: dict[str, dict[int, float]] = {}
    for trial in chosen:
        found = [row for row in rows.values() if row.id.startswith(f"final-{trial}-")]
        # A configuration that fails with another seed could win only by luck.
        if all(row.status != "FAILED" for row in found):
            met[trial] = {
                int(row.id.rpartition("-")[2]): row.score for row in found if row.score is not None
            }
    numbers = sorted(set.intersection(*(set(scores) for scores in met.values())) if met else ())
    finals = []
    for trial, known in met.items() if numbers else ():
        scores = tuple(known[number] for number in numbers)
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        mean = statistics.fmean(scores)
        finals.append(Finalist(trial, rows[trial].values, scores, mean, spread))
    sign = -1.0 if maximise else 1.0
    return sorted(finals, key=lambda final: (sign * final.mean, final.trial))


def record_of(
    settings: SearchSettings,
    rows: Mapping[str, TrialRow],
    finalists: Iterable[str],
    *,
    elapsed: float,
    phase: Phase,
    test: Mapping[str, Any] | None = None,
) -> SearchRecord:
    """A record from the rows of all trials and retrainings."""
    searched = tuple(row for row in rows.values() if row.id.isdigit())
    finals = tuple(retrained(rows, finalists, settings.maximise))
    record = SearchRecord(
        settings,
        searched,
        finals,
        test=test,
        elapsed=elapsed,
        phase=phase,
        failed_finals=tuple(
            f"{row.id}: {row.reason}"
            for row in rows.values()
            if row.id not in {one.id for one in searched} and row.status == "FAILED"
        ),
    )
    return dataclasses.replace(record, best=_best(record))


def read_search(folder: str | os.PathLike[str]) -> SearchRecord:
    """The record of the search in a folder, whether it still runs or not.

    Raises:
        UserError: there is no search, or a file of it is damaged.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder; name one that a search has written")
    settings = read_settings(path)
    result = read_json(path / RESULT) if (path / RESULT).is_file() else {}
    if not (path / STATE).is_file():
        return record_of(settings, {}, (), elapsed=0.0, phase="searching")
    state = read_state(path)
    try:
        rows = {name: TrialRow(**row) for name, row in state["rows"].items()}
        phase: Phase = "done" if result else "finals" if state["search_over"] else "searching"
        return record_of(
            settings,
            rows,
            state["finalists"],
            elapsed=float(result.get("elapsed", state["elapsed"])),
            phase=phase,
            test=result.get("test"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(damaged(path / STATE, f"{type(error).__name__} {error}")) from error


def _best(record: SearchRecord) -> dict[str, Any] | None:
    """The winner so far: the best mean over seeds, or the best trial where there are no finals."""
    by_id = {row.id: row for row in record.trials}
    if record.finals:
        first = record.finals[0]
        found = {"id": first.trial, "score": first.mean, "spread": first.spread}
        return {
            **found,
            "seeds": len(first.scores),
            "values": dict(first.values),
            "cost": dict(by_id[first.trial].cost),
        }
    board = record.leaderboard()
    if not board:
        return None
    row = board[0]
    return {
        "id": row.id,
        "score": row.score,
        "spread": 0.0,
        "seeds": 0,
        "values": dict(row.values),
        "cost": dict(row.cost),
    }
