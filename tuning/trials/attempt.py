"""One attempt at a trial, followed from outside: its memory, its time, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tuning.trials import child
from tuning.trials.job import Job, Progress
from tuning.trials.memory import out_of_memory_kills
from tuning.trials.process import ForkServer, LostError

# Ends that the trial's own process does not report.
HUNG, KILLED = "hung", "killed"
_POLL_SECONDS = 0.1
_WATCH_SECONDS = 1.0
# In these a trial that is stopped writes its checkpoint.
_STOP_SECONDS = 20.0
_STACKS_SECONDS = 0.5
_KILL_SECONDS = 10.0
# The kernel kills for want of memory a process that takes at least this share of its limit.
_NEAR = 0.9


@dataclass(frozen=True)
class End:
    """How an attempt ended.

    Attributes:
        kind: `HUNG`, `KILLED`, or what the trial's process reported.
        detail: the cause; of `DISK` the file that could not be written.
        errno: of that file.
    """

    kind: str
    detail: str = ""
    errno: int = 0


class Attempt:
    """Follows one process of a trial.

    Args:
        fork_server: starts it.
        job: the trial.
        log: its log file.
        task: number of the process among those that train this trial together.
        threads: within an operation; None for all processors.
        memory_mb: resident memory that it may take.
        limit_seconds: how long it may take.

    Attributes:
        progress: how far it has come.
        seconds: what it took.
        fit_seconds: spent in training and validation, earlier attempts included.
        peak_mb: the most memory that it was seen to take.
    """

    def __init__(
        self,
        fork_server: ForkServer,
        job: Job,
        log: Path,
        *,
        task: int,
        threads: int | None,
        memory_mb: float,
        limit_seconds: float,
    ) -> None:
        self._fork_server, self._job, self._log = fork_server, job, log
        self._task = task
        self._threads, self._memory_mb, self._limit = threads, memory_mb, limit_seconds
        self._child: psutil.Process | None = None
        self._started = 0.0
        self._told: dict[str, Any] = {}
        self._judged: End | None = None
        self._exit: int | None = None
        self._asked = False
        self.progress = Progress()
        self.seconds = 0.0
        self.fit_seconds = 0.0
        self.peak_mb = 0.0

    def run(self, watch: Callable[[Progress], bool]) -> End:
        """Start the process and follow it to its end.

        Args:
            watch: is called about once a second; False stops the trial.

        Raises:
            BaseException: what `watch` raises, or the user's Ctrl-C; the process has ended.
        """
        began = time.monotonic()
        kills = out_of_memory_kills()
        try:
            self._fork_server.send({"job": vars(self._job), "threads": self._threads})
            self._follow(watch)
        except LostError as error:
            return self._lost(error)
        except BaseException:
            with contextlib.suppress(LostError):
                self._stop(_STOP_SECONDS)
            raise
        finally:
            self.seconds = time.monotonic() - began
        return self._end(killed_by_kernel=out_of_memory_kills() > kills)

    def _follow(self, watch: Callable[[Progress], bool]) -> None:
        watched = 0.0
        while not self._take(self._fork_server.receive(_POLL_SECONDS)):
            now = time.monotonic()
            if self._child is not None and self._resident_mb() > self._memory_mb:
                detail = f"{self.peak_mb:,.0f} MB > {self._memory_mb:,.0f} MB"
                self._judged = End(child.MEMORY, detail)
                self._kill()
                return
            if self._child is not None and now - self._started > self._limit:
                self._judged = End(HUNG)
                self._signal(child.SHOW_STACKS)
                if not self._exits_within(_STACKS_SECONDS):
                    self._kill()
                return
            if now - watched >= _WATCH_SECONDS:
                watched = now
                if not watch(self.progress):
                    # Only the first task saves anything, and it has left already.
                    self._stop(0.0 if self._task else _STOP_SECONDS)
                    return

    def _take(self, message: dict[str, Any] | None) -> bool:
        """Note what a message says; returns whether it was the last."""
        if message is None:
            return False
        if "started" in message:
            self._started = time.monotonic()
            with contextlib.suppress(psutil.NoSuchProcess):
                self._child = psutil.Process(message["started"])
        elif "progress" in message:
            self.progress = Progress(**message["progress"])
            self.fit_seconds = message["fit_seconds"]
        elif "ended" in message:
            self._told = message
        elif "exited" in message:
            self._exit = message["exited"]
            return True
        return False

    def _resident_mb(self) -> float:
        assert self._child is not None
        with contextlib.suppress(psutil.Error):
            resident = self._child.memory_info().rss / 2**20
            self.peak_mb = max(self.peak_mb, resident)
            return resident
        return 0.0

    def _stop(self, seconds: float) -> None:
        """Let the process write its checkpoint and end; a second Ctrl-C kills it."""
        self._asked = True
        if self._exit is not None:
            return
        self._signal(signal.SIGINT)
        try:
            if self._child is not None and self._exits_within(seconds):
                return
        except KeyboardInterrupt:
            self._kill()
            raise
        self._kill()

    def _kill(self) -> None:
        """Kill the process and all that it has started."""
        if self._child is not None:
            # The fork server keeps the number of the group taken until it has told of its exit.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            if self._exits_within(_KILL_SECONDS):
                return
        self._fork_server.kill()

    def _signal(self, number: int) -> None:
        if self._child is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._child.send_signal(number)

    def _exits_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._take(self._fork_server.receive(_POLL_SECONDS)):
                return True
        return False

    def _lost(self, error: LostError) -> End:
        if self._told.get("ended") == child.FINISHED:
            return End(child.FINISHED)
        return self._judged or End(child.INTERRUPTED if self._asked else KILLED, str(error))

    def _end(self, *, killed_by_kernel: bool) -> End:
        told = self._told.get("ended")
        if told == child.FINISHED:
            return End(child.FINISHED)
        if self._judged is not None:
            return self._judged
        if told == child.DISK:
            return End(child.DISK, self._told["file"], self._told["errno"])
        if told is not None:
            return End(told, self._told.get("detail", ""))
        if self._asked or self._exit is None:
            return End(child.INTERRUPTED)
        if self._exit >= 0:
            return End(KILLED, f"ended with exit code {self._exit}")
        number = -self._exit
        near = self.peak_mb > _NEAR * self._memory_mb
        if number == signal.SIGKILL and (near or killed_by_kernel):
            return End(child.MEMORY, f"ended by the system at {self.peak_mb:,.0f} MB or more")
        if number == signal.SIGABRT and "bad_alloc" in self._last_words():
            return End(child.MEMORY, f"no more to be had at {self.peak_mb:,.0f} MB or more")
        return End(KILLED, f"killed by signal {number} ({signal.Signals(number).name})")

    def _last_words(self, most: int = 4000) -> str:
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            log.seek(max(self._log.stat().st_size - most, 0))
            return log.read().decode(errors="replace")
        return ""
