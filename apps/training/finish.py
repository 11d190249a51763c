"""What makes a run a finished one: its model, its figures, its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from apps import catalogue
from apps.application import Application
from apps.data import Examples
from apps.report.record import read_predictions
from apps.report.report import write_report
from apps.training.checkpoints import Position
from apps.training.golden import golden_answers, to_arrays
from apps.training.loop import Training
from apps.training.measuring import Metrics, calibrate, intervals_of, measured, metrics_of
from apps.training.provenance import peak_memory_mb
from apps.training.run_folder import RunFolder


def write_finished_run(
    folder: RunFolder,
    application: Application,
    training: Training,
    units: Examples,
    position: Position,
    *,
    baselines: Mapping[str, Metrics],
    examples: Mapping[str, int],
) -> Path:
    """Measure the trained model and write everything that a run folder holds.

    Args:
        folder: of the run.
        application: its model trained.
        training: that trained it.
        units: validation units.
        position: how far training came.
        baselines: their metrics by name.
        examples: how many rows there were, by what became of them.

    Returns:
        The report.
    """
    task, predictor, view = application.task, training.predictor, training.validation
    calibrate(application, predictor, units)
    count = min(len(units), task.most_predictions)
    wanted = np.linspace(0, len(units) - 1, count).round().astype(np.int64)
    shown = units.select(wanted)
    found = measured(application, predictor, view, training.truth, wanted=wanted)
    folder.write_model(application.served)
    folder.write_arrays(folder.golden, to_arrays(golden_answers(application, units)))
    answers = [found.answers[unit] for unit in map(int, wanted)]
    folder.write_rows(folder.predictions, application.predictions(shown, answers))
    best = position.best or {}
    decoders = {name: metrics_of(task, one) for name, one in found.decoders.items()}
    metrics = {
        "examples": dict(examples),
        "metrics": metrics_of(task, found.statistics),
        "interval": intervals_of(task, found.statistics, units, application.seed),
        "baselines": dict(baselines),
        **({"decoders": decoders} if decoders else {}),
        "cost": {
            "parameters": application.inference().count_params(),
            "ms_per_example": predictor.milliseconds(view),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "size_mb": round(folder.model.stat().st_size / 1e6, 3),
        },
        "seconds": round(position.seconds, 1),
        "stopped": position.stopped,
        "minutes_left": round(training.minutes_left(position), 1),
        "best": {"epoch": best["epoch"], "step": best["total"]} if best else {},
    }
    folder.write_json(folder.metrics, metrics)
    return report_of(folder, application)


def report_of(folder: RunFolder, application: Application) -> Path:
    """Write `report.html` from what a run folder holds."""
    rows: list[dict[str, Any]] = read_predictions(folder.path)
    return write_report(
        folder.path,
        application.sections(rows),
        metrics=application.task.metrics,
        purpose=f"It answers {catalogue.APPLICATIONS[application.name].answers}.",
    )
