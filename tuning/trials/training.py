"""The training of a trial: from the state of earlier attempts to its outcome."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from apps import environment
from apps.data.kept import keep_in
from apps.errors import UserError
from tuning.trials.folder import KEPT, Attempts, TrialFolder
from tuning.trials.job import COMPLETED, FAILED, Job, Outcome, Progress

if TYPE_CHECKING:
    from apps.training.checkpoints import Position

Tell = Callable[[dict[str, Any]], None]


class OverBudgetError(Exception):
    """The model costs more than the search allows."""


class Training:
    """Trains one trial.

    Args:
        job: the trial.
        folder: of it.
        threads: within an operation; None for TensorFlow's choice.
        tell: sends a message about progress.
    """

    def __init__(self, job: Job, folder: TrialFolder, threads: int | None, tell: Tell) -> None:
        self.job, self.folder = job, folder
        self._tell = tell
        self._began = time.monotonic()
        self._attempts: Attempts = folder.attempts()
        self._earlier = self._attempts.seconds
        self._fit_began: float | None = None
        self._told = 0.0
        self._epochs = 0
        self._cost: dict[str, float] = {}
        self._threads = threads

    def run(self) -> Outcome:
        """Train as far as the job says.

        Raises:
            OverBudgetError: before training.
            UserError: data or settings are at fault, or a figure is not finite.
        """
        job, folder = self.job, self.folder
        print(_headline(job, self._attempts), flush=True)
        keep_in(folder.path.parent / KEPT)
        _limit_threads(self._threads)
        if job.strategy is None:  # which has to come before the first operation
            environment.import_tensorflow_quietly()
        if job.continues and not folder.task:
            said = folder.inherit(job.continues)
            if said:
                print(said, flush=True)
        if job.folds:
            return self._walked()
        position = self._begun()
        if position.best is None:
            return self.failed(f"no epoch within {job.minutes:g} minutes")
        row = position.history[position.best["epoch"] - 1]
        measured = [name for name in row if name.startswith("val_") and name != "val_loss"]
        metrics = {name[4:]: row[name] for name in measured}
        return self._outcome(
            COMPLETED, score=float(position.best["value"]), metrics=metrics, epochs=position.epoch
        )

    def _walked(self) -> Outcome:
        """Train and measure fold by fold; the score is the mean."""
        from apps.training.backtest import backtest
        from apps.training.run_folder import RunFolder

        job, going_on = self.job, self.folder.run.exists()
        source = {name: value for name, value in job.source.items() if name != "validation"}
        self._fit_began = time.monotonic()
        found = backtest(
            folds=int(job.folds or 0),
            minutes=job.minutes if job.anneals else None,
            run=self.folder.run,
            resume=going_on,
            log=lambda line: print(line, flush=True),
            **source,
            **job.values(self._attempts.accumulation_steps),
        )
        first = RunFolder(self.folder.run / found["folds"][0]["run"])
        cost = first.read_json(first.metrics)["cost"]
        self._cost = {
            "latency_ms": cost["ms_per_example"],
            "parameters": cost["parameters"],
            "size_mb": cost["size_mb"],
        }
        _check_budget(self._cost, job.budget)
        metrics = {name: value for name, value in found["mean"].items() if value is not None}
        if job.objective not in metrics:
            return self.failed(f"{job.objective} is undefined in every fold")
        return self._outcome(
            COMPLETED, score=metrics[job.objective], metrics=metrics, epochs=len(found["folds"])
        )

    def failed(self, reason: str) -> Outcome:
        """The outcome of a trial that failed."""
        print(f"failed: {reason}", flush=True)
        return self._outcome(FAILED, reason=reason, epochs=self._epochs)

    def _begun(self) -> Position:
        """Train, and return the position reached; a run that cannot be resumed begins anew."""
        going_on = self.folder.run.exists()
        try:
            return self._trained()
        except UserError as error:
            if not going_on or self.folder.task or str(self.folder.run) not in str(error):
                raise
            print(f"{error}; training starts from the start", flush=True)
            self.folder.start_over()
            return self._trained()

    def _trained(self) -> Position:
        from apps.training.session import Session
        from tuning.trials.rows import HeldPlan

        job, folder = self.job, self.folder
        self._earlier = max(self._earlier, folder.trained_seconds - folder.inherited_seconds)
        session = Session(
            HeldPlan(**job.source, settings=job.values(self._attempts.accumulation_steps)),
            minutes=job.minutes,
            anneal=job.anneals,
            run=folder.run,
            resume=bool(folder.task) or folder.run.exists(),
            log=lambda line: print(line, flush=True),
            strategy=job.strategy,
        )
        self._cost = dict(session.cost())
        # If the tasks judged by their own latencies, one might train on and wait for the others.
        known = {"parameters", "size_mb"} if folder.task else self._cost.keys()
        _check_budget(self._cost, {name: job.budget[name] for name in job.budget if name in known})
        self._fit_began = time.monotonic()
        position = session.fit(job.epochs, on_epoch=self._on_epoch, on_step=self._on_step)
        self._on_epoch(position)
        return position

    def _on_epoch(self, position: Position) -> None:
        self._epochs = position.epoch
        self._progress(position)
        if position.history:
            _check_finite(position.history[-1])

    def _on_step(self, position: Position) -> None:
        if time.monotonic() - self._told >= 1:
            self._progress(position)

    def _progress(self, position: Position) -> None:
        self._told = time.monotonic()
        score = float(position.best["value"]) if position.best else None
        progress = Progress(position.epoch, position.total, score, self._seconds())
        self._tell({"progress": vars(progress), "fit_seconds": self._fit_seconds()})

    def _seconds(self) -> float:
        return round(self._earlier + time.monotonic() - self._began, 3)

    def _fit_seconds(self) -> float:
        own = 0.0 if self._fit_began is None else time.monotonic() - self._fit_began
        return round(self._attempts.fit_seconds + own, 3)

    def _outcome(self, status: Any, **found: Any) -> Outcome:
        from apps.training.provenance import peak_memory_mb

        cost = {**self._cost, "memory_mb": round(peak_memory_mb(), 1)}
        return Outcome(
            status,
            cost=cost,
            seconds=self._seconds(),
            fit_seconds=self._fit_seconds(),
            accumulation_steps=self._attempts.accumulation_steps,
            **found,
        )


def _check_budget(cost: dict[str, float], budget: dict[str, float]) -> None:
    beyond = [
        f"{name} {_figure(cost[name])} > {_figure(bound)}"
        for name, bound in budget.items()
        if cost[name] > bound
    ]
    if beyond:
        raise OverBudgetError(f"over the budget: {', '.join(beyond)}")


def _check_finite(row: dict[str, Any]) -> None:
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            called = f"validation {name[4:]}" if name.startswith("val_") else name
            raise UserError(f"{called} is {value} at epoch {row['epoch']}")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _headline(job: Job, attempts: Attempts) -> str:
    settings = " ".join(f"{key}={value}" for key, value in job.settings.items())
    steps = attempts.accumulation_steps
    pieces = f", batches in {steps} pieces" if steps > 1 else ""
    return (
        f"--- {datetime.now():%Y-%m-%d %H:%M:%S} trial {job.id}, attempt {attempts.number}"
        f"{pieces}, seed {job.seed}, {job.minutes:g} minutes: {settings}"
    )


def _limit_threads(threads: int | None) -> None:
    if threads is None:
        return
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
