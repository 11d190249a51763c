"""One training of a comparison, in a process of its own, so that its memory and time are its."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps import environment, strict_json
from apps.atomic import write_atomically
from apps.errors import UserError
from apps.process import INTERRUPTED

if TYPE_CHECKING:
    from apps.components import Task
    from apps.training.run import Evaluation

_MEASURED = "compared.json"
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Split:
    """What is learnt from, and what is measured on.

    Attributes:
        data: a source to learn from.
        test: a source to measure on.
        since, until: of series, the rows of `data` that count.
        test_since, test_until: those of `test`.
        columns: the application's column names to the sources'.
        labels: of sensors, a file with the windows that are anomalies.
        said: what the test rows are, in words.
    """

    data: Any
    test: Any
    said: str
    since: str | None = None
    until: str | None = None
    test_since: str | None = None
    test_until: str | None = None
    columns: Mapping[str, str] | None = None
    labels: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        application: its name.
        split: what is learnt from and measured on.
        settings: hyperparameters.
        seed: of the training.
        minutes: budget; None for all epochs.
        run: the run folder.
        measures: whether the test rows are measured on; where settings are chosen they are not.
    """

    application: str
    split: Split
    settings: Mapping[str, Any]
    seed: int
    minutes: float | None
    run: Path
    measures: bool = True


def trained(job: Job) -> dict[str, Any]:
    """Train and measure in a fresh process, or read what an earlier one has measured.

    Returns:
        `validation`, metrics by which settings are chosen; `test`, what `evaluate` gives; `draws`,
        metrics of resampled test units; `cost`, what `metrics.json` says of it; `epochs`, the best
        one, `epochs_begun`, `stopped`, `seconds` and `cpu_seconds`; `layers`, what the doctor says;
        or `failed`, why the training has failed. A process that was killed is tried once more
        after `resume`.

    Raises:
        KeyboardInterrupt: with everything on disk to go on.
    """
    file = job.run / _MEASURED
    if file.is_file():
        return json.loads(file.read_bytes())
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(job, theirs))
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError:
        found = None
    except KeyboardInterrupt:
        if not _from_terminal() and process.pid:
            os.kill(process.pid, signal.SIGINT)
        # It writes a checkpoint.
        process.join()
        raise
    process.join()
    if process.exitcode == INTERRUPTED:
        raise KeyboardInterrupt
    if found is None:
        code = f"its process has ended with {process.exitcode}"
        return {"failed": f"{job.run}: {code}; out of memory? --resume tries it once more"}
    return found


def _from_terminal() -> bool:
    """Whether Ctrl-C is typed where this runs, so that all of its processes get the signal."""
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _child(job: Job, answers: Connection) -> None:
    try:
        environment.import_tensorflow_quietly()
        found = _measured(job)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except UserError as error:
        found = {"failed": str(error)}
    # What is done is not lost to an interruption of the next one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job.run.mkdir(parents=True, exist_ok=True)
    content = strict_json.dumps(found).encode()
    write_atomically(job.run / _MEASURED, lambda stream: stream.write(content))
    answers.send(found)


def _measured(job: Job) -> dict[str, Any]:
    from apps.layers.doctor import diagnose_model
    from apps.training.run import Chosen, FinishedRun
    from apps.training.run_folder import RunFolder
    from apps.training.train import train

    split, started = job.split, time.process_time()
    folder = train(
        job.application,
        split.data,
        columns=split.columns,
        minutes=job.minutes,
        seed=job.seed,
        run=job.run,
        resume=not RunFolder(job.run).unbegun(),
        since=split.since,
        until=split.until,
        labels=split.labels,
        **job.settings,
    )
    spent = time.process_time() - started
    run = FinishedRun(folder)
    metrics = run.metrics
    found = {
        "validation": metrics["metrics"],
        "cost": metrics["cost"],
        "seconds": metrics["seconds"],
        "cpu_seconds": round(spent, 1),
        "epochs": metrics["best"].get("epoch"),
        "epochs_begun": len(RunFolder(folder).history.read_text().splitlines()) - 1,
        "stopped": metrics["stopped"],
        "layers": [one.to_dict() for one in diagnose_model(run.model)],
    }
    if job.measures:
        chosen = Chosen(split.columns, split.test_since, split.test_until, split.labels)
        evaluation = run.evaluated(split.test, chosen)
        found["draws"] = _draws(run.application.task, evaluation)
        found["test"] = evaluation.figures
    return found


def _draws(task: Task, evaluation: Evaluation) -> dict[str, dict[str, list[float]]]:
    """Metrics of resampled test units, by model (`""`) and baseline; the same units in all runs."""
    from apps.training.measuring import draws_of

    directed = [metric.name for metric in task.metrics if metric.better != "neither"]
    found = {}
    for name, statistics in evaluation.statistics.items():
        draws = draws_of(task, statistics, evaluation.units, _BOOTSTRAP_SEED)
        found[name] = {key: draws[key] for key in directed if np.isfinite(draws[key]).all()}
    return found
