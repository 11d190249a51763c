"""Which worker runs which trial: what workers ask for and report, over KerasTuner's oracle."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tuning.finals import chain_seconds
from tuning.trials.job import Job, Outcome, Progress

# A worker needs only the protocol, without the 700 MB of KerasTuner and TensorFlow.
if TYPE_CHECKING:
    from keras_tuner.engine.trial import Trial

    from tuning.oracles import DurableOracle


@dataclass(frozen=True)
class Wait:
    """There is nothing to do until running trials end: ask again after so many seconds."""

    seconds: float = 1.0


class Scheduler(Protocol):
    """What a worker needs of the search it works for."""

    def next(self, worker: str) -> Job | Wait | None:
        """The trial that the worker has, or its next one; None when the search is over."""

    def beat(self, worker: str, trial: str, progress: Progress) -> bool:
        """Report that the worker lives; False if the trial belongs to another one."""

    def end(self, worker: str, trial: str, outcome: Outcome) -> None:
        """Report the end of a trial; repeated and late reports change nothing."""

    def release(self, worker: str) -> None:
        """Give the worker's trial back, to be handed out again."""


class LocalScheduler:
    """The scheduler beside the oracle; any thread may call its methods.

    Args:
        oracle: of the search.
    """

    def __init__(self, oracle: DurableOracle) -> None:
        self.oracle, self.settings = oracle, oracle.settings
        self._lock = threading.RLock()
        self._heard: dict[str, float] = {}
        self._running: dict[str, tuple[str, Progress]] = {}
        now = time.monotonic()
        for worker in oracle.ongoing_trials:
            self._heard[worker] = now

    def next(self, worker: str) -> Job | Wait | None:
        with self._lock:
            self._heard[worker] = time.monotonic()
            trial = self.oracle.create_trial(worker)
            if trial.status == "STOPPED":
                self._heard.pop(worker, None)
                return None
            if trial.status == "IDLE":
                return Wait()
            self._running.setdefault(trial.trial_id, (worker, Progress()))
            return self.job_of(trial)

    def beat(self, worker: str, trial: str, progress: Progress) -> bool:
        with self._lock:
            self._heard[worker] = time.monotonic()
            if self.oracle.owner(trial) != worker:
                return False
            self._running[trial] = (worker, progress)
            return True

    def end(self, worker: str, trial: str, outcome: Outcome) -> None:
        with self._lock:
            self._heard[worker] = time.monotonic()
            if self.oracle.owner(trial) == worker:
                self._running.pop(trial, None)
                self.oracle.end(trial, outcome)

    def release(self, worker: str) -> None:
        with self._lock:
            self._heard.pop(worker, None)
            self._drop(worker)

    def expire(self, older_than_seconds: float) -> list[str]:
        """Take trials back from workers that have been silent for so long.

        Returns:
            The trials that will be handed out again.
        """
        with self._lock:
            limit = time.monotonic() - older_than_seconds
            gone = [worker for worker, heard in self._heard.items() if heard < limit]
            lost = []
            for worker in gone:
                del self._heard[worker]
                lost += self._drop(worker)
            return lost

    def _drop(self, worker: str) -> list[str]:
        trial = self.oracle.ongoing_trials.get(worker)
        if trial is None:
            return []
        self._running.pop(trial.trial_id, None)
        self.oracle.release(worker)
        return [trial.trial_id]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to hand out or to wait for."""
        return self.oracle.over

    @property
    def workers(self) -> dict[str, float]:
        """Seconds since each worker was heard of, without those that know of the end."""
        with self._lock:
            now = time.monotonic()
            return {worker: now - heard for worker, heard in self._heard.items()}

    @property
    def running(self) -> dict[str, tuple[str, Progress]]:
        """Worker and progress of every trial that runs."""
        with self._lock:
            return dict(self._running)

    def job_of(self, trial: Trial) -> Job:
        """The job of a trial."""
        settings, oracle, folder = self.settings, self.oracle, self.oracle.folder
        name, values = trial.trial_id, trial.hyperparameters.values
        earlier = values.get("tuner/trial_id")
        number = int(name.rpartition("-")[2]) if name.startswith("final-") else 0
        seconds = oracle.limit(name) + chain_seconds(oracle.rows, earlier)
        # The training chooses what suits the rows where nothing is searched or given.
        decided = {*oracle.space.fixed, *(one.key for one in oracle.space.dimensions)}
        point = {k: v for k, v in oracle.space.settings(values).items() if k in decided}
        # Hyperband's rungs are parts of so many epochs.
        if (most := getattr(oracle, "max_epochs", None)) is not None:
            point["epochs"] = most
        return Job(
            id=name,
            application=settings.application,
            data=settings.data,
            validation=settings.validation,
            since=settings.since,
            until=settings.until,
            labels=settings.labels,
            folds=settings.folds,
            columns=dict(settings.columns),
            settings={**point, "objective": settings.objective},
            seed=settings.seed + number,
            folder=str(folder / f"trial_{name}"),
            epochs=values.get("tuner/epochs"),
            minutes=seconds / 60.0,
            anneals=settings.minutes is not None,
            objective=settings.objective,
            budget=dict(settings.budget),
            continues=None if earlier is None else str(folder / f"trial_{earlier}"),
            strategy=settings.strategy,
        )
