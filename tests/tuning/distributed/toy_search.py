"""A search that trains nothing: its trials count steps, and write down who ran them when."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.atomic import write_atomically
from tuning.distributed import protocol
from tuning.scheduler import Wait
from tuning.settings import SearchSettings
from tuning.trials.job import INTERRUPTED, Job, Outcome, Progress

SCORE = 1 / 3  # no float of 32 bits holds it
HELD_AT = 3

# Someone may be at work on the code while these tests run.
protocol.digest_of_code = lambda: "toy"


class ToyScheduler:
    """Hands out so many trials, in order; what it knows survives in a file."""

    def __init__(
        self, folder: Path, trials: int = 1, steps: int = 10, step_s: float = 0.02
    ) -> None:
        self.settings = SearchSettings(application="toy", objective="accuracy")
        self.oracle = None
        self._folder, self._steps, self._step_s = folder, steps, step_s
        self._file = folder / "oracle.json"
        self._lock = threading.RLock()
        self._heard: dict[str, float] = {}
        self._progress: dict[str, Progress] = {}
        self.beats = 0
        if self._file.exists():
            self.trials = json.loads(self._file.read_text())
        else:
            waiting = {"worker": None, "outcome": None}
            self.trials = {f"{number:04d}": dict(waiting) for number in range(trials)}
        for trial in self.trials.values():
            if trial["worker"]:
                self._heard[trial["worker"]] = time.monotonic()

    def next(self, worker: str) -> Job | Wait | None:
        with self._lock:
            self._heard[worker] = time.monotonic()
            open_trials = {name: one for name, one in self.trials.items() if not one["outcome"]}
            if not open_trials:
                del self._heard[worker]
                return None
            for wanted in (worker, None):
                for name, one in open_trials.items():
                    if one["worker"] == wanted:
                        one["worker"] = worker
                        self._save()
                        return self._job(name)
            return Wait(0.1)

    def beat(self, worker: str, trial: str, progress: Progress) -> bool:
        with self._lock:
            self.beats += 1
            self._heard[worker] = time.monotonic()
            self._progress[trial] = progress
            return self.trials[trial]["worker"] == worker

    def end(self, worker: str, trial: str, outcome: Outcome) -> None:
        with self._lock:
            self._heard[worker] = time.monotonic()
            one = self.trials[trial]
            if one["worker"] == worker and not one["outcome"]:
                one["worker"] = None
                if outcome.status != INTERRUPTED:
                    one["outcome"] = outcome.to_json()
                self._save()

    def release(self, worker: str) -> None:
        with self._lock:
            self._heard.pop(worker, None)
            for one in self.trials.values():
                if one["worker"] == worker:
                    one["worker"] = None
            self._save()

    def expire(self, older_than_seconds: float) -> list[str]:
        with self._lock:
            lost = []
            for worker, since in self.workers.items():
                if since > older_than_seconds:
                    lost += [name for name, one in self.trials.items() if one["worker"] == worker]
                    self.release(worker)
            return lost

    @property
    def finished(self) -> bool:
        return all(one["outcome"] for one in self.trials.values())

    @property
    def workers(self) -> dict[str, float]:
        now = time.monotonic()
        return {worker: now - heard for worker, heard in list(self._heard.items())}

    @property
    def running(self) -> dict[str, tuple[str, Progress]]:
        return {
            name: (one["worker"], self._progress.get(name, Progress()))
            for name, one in self.trials.items()
            if one["worker"]
        }

    def outcome(self, trial: str) -> Outcome:
        return Outcome.from_json(self.trials[trial]["outcome"])

    def _job(self, name: str) -> Job:
        return Job(
            id=name,
            application="toy",
            data="sample",
            settings={"learning_rate": SCORE},
            seed=0,
            folder=str(self._folder / f"trial_{name}"),
            minutes=self._step_s / 60,
            objective="accuracy",
            epochs=self._steps,
        )

    def _save(self) -> None:
        text = json.dumps(self.trials)
        write_atomically(self._file, lambda stream: stream.write(text.encode()))


class ToyExecutor:
    """Counts a trial's steps, goes on where another process has left off, and tells of doubles.

    After step `HELD_AT` it waits for as long as there is a file `hold` in the search's folder.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def close(self) -> None:
        """Nothing to end."""

    def run(self, job: Job, watch: Callable[[Progress], bool]) -> Outcome:
        folder = Path(job.folder)
        folder.mkdir(parents=True, exist_ok=True)
        counter = folder / "steps"
        begun = int(counter.read_text()) if counter.exists() else 0
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note(job, "doubled")
                raise
            note(job, f"begins at {begun}")
            for step in range(begun, job.epochs or 0):
                time.sleep(60 * job.minutes)
                counter.write_text(str(step + 1))
                yours = watch(Progress(epoch=step + 1, score=SCORE))
                while yours and step + 1 == HELD_AT and (folder.parent / "hold").exists():
                    time.sleep(60 * job.minutes)
                    yours = watch(Progress(epoch=step + 1, score=SCORE))
                if not yours:
                    note(job, "drops")
                    return Outcome("INTERRUPTED")
            note(job, "ends")
        return Outcome("COMPLETED", score=SCORE, epochs=job.epochs or 0)


def note(job: Job, what: str) -> None:
    """Add a line to the search's `events`."""
    with (Path(job.folder).parent / "events").open("a") as events:
        events.write(f"{job.id} {os.getpid()} {what}\n")
