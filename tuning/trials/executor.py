"""Runs trials one after the other, each in a process of its own that may fail in any way."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Self

from tuning.trials import child
from tuning.trials.attempt import HUNG, KILLED, Attempt, End
from tuning.trials.folder import Attempts, TrialFolder
from tuning.trials.job import Job, Outcome, Progress
from tuning.trials.memory import available_mb
from tuning.trials.process import ForkServer

Watch = Callable[[Progress], bool]

_MEMORY_SHARE = 0.9
# A trial whose process is killed so often has failed. Of several that train together each loss
# ends all, so that more are allowed.
_MOST_KILLS, _MOST_KILLS_TOGETHER = 2, 5


class Executor:
    """Where trials run on this machine, one at a time.

    Args:
        threads: of a trial within an operation; None for all processors.
        memory_mb: resident memory that a trial may take; None for 90 % of what is free.
        preload: modules that the trials' processes import, such as applications of a user's own.
        grace_seconds: added to a trial's minutes, and a fifth of them, before it counts as hung.
    """

    def __init__(
        self,
        *,
        threads: int | None = None,
        memory_mb: float | None = None,
        preload: Sequence[str] = (),
        grace_seconds: float = 30.0,
    ) -> None:
        self._threads = threads
        self._memory_mb = memory_mb or _MEMORY_SHARE * available_mb()
        self._preload = tuple(preload)
        self._grace = grace_seconds
        self._fork_server: ForkServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the fork server."""
        if self._fork_server is not None:
            self._fork_server.close()
            self._fork_server = None

    def run(self, job: Job, watch: Watch) -> Outcome:
        """Run a trial to its end; one that has ended already is not run again.

        Args:
            job: the trial.
            watch: is called about once a second, before the first progress too; the trial is
                stopped where it returns False.

        Returns:
            What became of it. `INTERRUPTED`, where it was stopped or another process trains in its
            folder, means that it can be run again from its last checkpoint.

        Raises:
            KeyboardInterrupt: after the trial has written a checkpoint.
            OSError: the trial's folder cannot be written, on a full disk say; the trial can be run
                again.
            UserError: no process for trials can be started.
        """
        folder = TrialFolder.of(job)
        attempts = folder.begin(job)
        while (outcome := folder.outcome()) is None:
            attempts = dataclasses.replace(attempts, number=attempts.number + 1)
            folder.write_attempts(attempts)
            made = self._attempt(job, folder)
            try:
                end = made.run(watch)
            finally:
                attempts = _counted(attempts, made)
                # The next write meets the same error; this one must not hide how the attempt ended.
                with contextlib.suppress(OSError):
                    folder.write_attempts(attempts)
            if end.kind in (HUNG, KILLED, child.MEMORY):
                folder.sweep()
            if end.kind == child.FINISHED and (outcome := folder.outcome()):
                return outcome
            again = _again(end, attempts, job)
            if again is None:
                return self._without_outcome(end, attempts, made, folder)
            folder.note(f"{_told(end)}; once more")
            attempts = again
        return outcome

    def _attempt(self, job: Job, folder: TrialFolder) -> Attempt:
        if self._fork_server is None or not self._fork_server.alive:
            self.close()
            self._fork_server = ForkServer(self._threads, self._preload)
        # The minutes of a job include those of the training that it goes on with.
        inherited = TrialFolder(job.continues).trained_seconds if job.continues else 0.0
        return Attempt(
            self._fork_server,
            job,
            folder.log,
            task=folder.task,
            threads=self._threads,
            memory_mb=self._memory_mb,
            limit_seconds=1.2 * (60 * job.minutes - inherited) + self._grace,
        )

    def _without_outcome(
        self, end: End, attempts: Attempts, made: Attempt, folder: TrialFolder
    ) -> Outcome:
        """The outcome of a trial whose process has left none."""
        if end.kind == child.DISK:
            raise OSError(end.errno, os.strerror(end.errno), end.detail)
        reason = _told(end)
        if end.kind == HUNG:
            limit = f"{attempts.job['minutes']:g} minutes"
            ended = made.progress.epoch > 0
            reason = f"hung: no end after {limit}" if ended else f"no epoch within {limit}"
        elif end.kind == child.MEMORY and attempts.halved:
            reason = f"out of memory, at half the batch too: {end.detail}"
        passing = end.kind in (child.INTERRUPTED, child.OCCUPIED)
        outcome = Outcome(
            "INTERRUPTED" if passing else "FAILED",
            reason=reason,
            cost={"memory_mb": round(made.peak_mb, 1)},
            seconds=attempts.seconds,
            fit_seconds=attempts.fit_seconds,
            epochs=made.progress.epoch,
            accumulation_steps=attempts.accumulation_steps,
        )
        if not passing:
            folder.note(f"failed: {reason}")
            folder.write_outcome(outcome)
        return outcome


def _counted(attempts: Attempts, made: Attempt) -> Attempts:
    return dataclasses.replace(
        attempts,
        seconds=round(attempts.seconds + made.seconds, 3),
        fit_seconds=max(attempts.fit_seconds, made.fit_seconds),
    )


def _again(end: End, attempts: Attempts, job: Job) -> Attempts | None:
    """The state that another attempt begins with; None where there is none."""
    if end.kind == child.MEMORY:
        # Processes that train together would all have to halve their batches.
        if attempts.halved or job.strategy == "multiworker":
            return None
        return dataclasses.replace(
            attempts, accumulation_steps=2 * attempts.accumulation_steps, halved=True
        )
    if end.kind in (KILLED, child.FINISHED, child.PARTED):
        again = dataclasses.replace(attempts, kills=attempts.kills + 1)
        most = _MOST_KILLS_TOGETHER if job.strategy == "multiworker" else _MOST_KILLS
        return again if again.kills < most else None
    return None


def _told(end: End) -> str:
    if end.kind == child.MEMORY:
        return f"out of memory: {end.detail}"
    if end.kind == child.FINISHED:
        return "left no outcome"
    return end.detail or end.kind
