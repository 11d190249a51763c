"""The folder of a trial: its files, the state of earlier attempts, and its lock."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.atomic import write_atomically
from apps.errors import UserError
from tuning.trials.job import Job, Outcome
from tuning.trials.task import Task

# The folder beside those of trials that keeps what they learn from the rows before training.
KEPT = ".kept"
_SAME = ("application", "settings", "seed", "epochs", "objective")
# The files that a training needs to go on.
_TRAINING = ("environment.json", "checkpoints", "baselines", "config.json")


class OccupiedError(Exception):
    """Another process trains in the folder."""


@dataclass(frozen=True)
class Attempts:
    """The state that earlier attempts have left.

    Attributes:
        job: of the trial, as JSON values.
        number: of attempts begun.
        accumulation_steps: pieces in which each batch goes through.
        halved: whether those are twice as many as asked for, after running out of memory.
        kills: how often its process was ended from outside.
        seconds: what they took.
        fit_seconds: the part of it spent in training and validation.
    """

    job: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    accumulation_steps: int = 1
    halved: bool = False
    kills: int = 0
    seconds: float = 0.0
    fit_seconds: float = 0.0


class TrialFolder:
    """Paths, state and lock of one trial.

    Args:
        path: the folder; it need not exist yet.
        task: number of the process among those that train this trial together.
    """

    def __init__(self, path: str | os.PathLike[str], task: int = 0) -> None:
        mark = f".task-{task}" if task else ""
        self.path = Path(path)
        self.task = task
        self.run = self.path / "run"
        self.log = self.path / f"trial{mark}.log"
        self.result = self.path / f"result{mark}.json"
        self.scratch = self.path / f".scratch{mark}"
        self._attempts = self.path / f"attempts{mark}.json"
        self._lock = self.path / f".lock{mark}"
        self._inherited = self.path / "inherited.json"

    @classmethod
    def of(cls, job: Job) -> TrialFolder:
        """The folder of a job, for this process."""
        together = job.strategy == "multiworker"
        return cls(job.folder, Task.from_environment().index if together else 0)

    def begin(self, job: Job) -> Attempts:
        """The state of earlier attempts at this job; what another job has left is removed.

        Raises:
            OSError: the folder cannot be written.
        """
        asked = json.loads(job.to_json())
        attempts = self.attempts()
        # The first task knows how far all have come; the others train whenever it does.
        if not self.task and all(attempts.job.get(key) == asked[key] for key in _SAME):
            return dataclasses.replace(attempts, job=asked)
        self.path.mkdir(parents=True, exist_ok=True)
        self.result.unlink(missing_ok=True)
        # Without a record of attempts a run is kept: training checks whether it is this job's.
        if attempts.job and not self.task:
            self._attempts.unlink(missing_ok=True)
            self._inherited.unlink(missing_ok=True)
            shutil.rmtree(self.run, ignore_errors=True)
        if job.continues:
            source = TrialFolder(job.continues).attempts()
            return Attempts(
                asked, accumulation_steps=source.accumulation_steps, halved=source.halved
            )
        return Attempts(asked, accumulation_steps=int(job.settings.get("accumulation_steps", 1)))

    def attempts(self) -> Attempts:
        """The attempts so far; none where their file is missing or damaged."""
        try:
            return Attempts(**json.loads(self._attempts.read_bytes()))
        except (OSError, ValueError, TypeError):
            return Attempts()

    def write_attempts(self, attempts: Attempts) -> None:
        """Write them in one step."""
        self._write(self._attempts, json.dumps(dataclasses.asdict(attempts)))

    def outcome(self) -> Outcome | None:
        """The outcome if the trial has ended; a damaged file counts as none."""
        try:
            return Outcome.from_json(self.result.read_bytes())
        except (OSError, UserError):
            return None

    def write_outcome(self, outcome: Outcome) -> None:
        """Write it in one step."""
        self._write(self.result, outcome.to_json())

    def note(self, line: str) -> None:
        """Add a line to the trial's log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    @contextlib.contextmanager
    def locked(self, seconds: float) -> Iterator[None]:
        """Keep other processes from training here.

        Args:
            seconds: how long to wait for a process that is about to end.

        Raises:
            OccupiedError: it did not end.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + seconds
        with self._lock.open("ab") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise OccupiedError(f"{self.path}: another process trains there") from None
                    time.sleep(0.1)
            yield

    def inherit(self, source: str | os.PathLike[str]) -> str:
        """Copy the training of another trial, unless this one has begun its own.

        Args:
            source: folder of the trial.

        Returns:
            What was done, in one line; empty where nothing was.
        """
        if self.run.exists():
            return ""
        theirs = TrialFolder(source).run
        seconds = _trained_seconds(theirs)
        if seconds is None:
            return f"{theirs}: holds no checkpoint to go on from; training starts from the start"
        beside = self.path / ".run-copied"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        for name in _TRAINING:
            place = theirs / name
            if place.is_dir():
                shutil.copytree(place, beside / name)
            elif place.is_file():
                shutil.copyfile(place, beside / name)
        self._write(self._inherited, json.dumps({"from": str(source), "seconds": seconds}))
        beside.rename(self.run)
        return f"goes on with the training in {theirs}"

    @property
    def inherited_seconds(self) -> float:
        """Seconds of the training that this one continues; 0 where it continues none."""
        try:
            return float(json.loads(self._inherited.read_bytes())["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0

    @property
    def trained_seconds(self) -> float:
        """Seconds of training up to the last checkpoint, inherited ones included."""
        return _trained_seconds(self.run) or 0.0

    def start_over(self) -> None:
        """Remove the run, so that training begins anew."""
        self._inherited.unlink(missing_ok=True)
        shutil.rmtree(self.run)

    def sweep(self) -> None:
        """Remove half-written files of a killed process outside the run."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        if not self.task:
            shutil.rmtree(self.path / ".run-copied", ignore_errors=True)

    def _write(self, file: Path, text: str) -> None:
        write_atomically(file, lambda stream: stream.write(text.encode() + b"\n"))


def prune(path: str | os.PathLike[str]) -> None:
    """Remove the checkpoints of a trial that nothing will continue; its figures stay.

    Args:
        path: folder of the trial.
    """
    shutil.rmtree(TrialFolder(path).run / "checkpoints", ignore_errors=True)


def _trained_seconds(run: Path) -> float | None:
    """Seconds of training in a run's last checkpoint; None where there is none."""
    try:
        with np.load(run / "checkpoints" / "last.npz", allow_pickle=False) as arrays:
            return float(json.loads(arrays["position"].tobytes())["seconds"])
    # numpy and zipfile raise whatever a damaged byte leads them to.
    except Exception:
        return None
