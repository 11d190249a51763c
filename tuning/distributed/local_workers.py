"""Workers on the chief's own machine, which are started again when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from apps import environment
from apps.errors import UserError
from tuning.distributed.worker_process import PARENT
from tuning.trials.memory import available_mb
from tuning.trials.process import python_path

# `-P`: a folder `apps` or `tuning` where the user stands is not taken for these packages.
_PROGRAM = (sys.executable, "-P", "-m", "tuning", "worker")
_LARGEST_PAUSE_S = 30.0
_MOST_DEATHS, _WITHIN_S = 5, 60.0
_MEMORY_SHARE = 0.9
_STOP_S = 30.0


class LocalWorkers:
    """Workers with ids that stay the same over restarts: `local-0`, `local-1`, ….

    The kernel kills them when the thread that has started them ends.

    Args:
        count: how many.
        chief: the chief's address.
        folder: of the search; what a worker prints goes to `worker-K.log` in it.
        threads: of each worker; an equal share of the processors unless given.
        memory_mb: of each worker's trials; an equal share of what is free unless given.
        log: takes a line for each worker that dies.
        program: the command of a worker, without its options.
    """

    def __init__(
        self,
        count: int,
        chief: str,
        folder: str | os.PathLike[str],
        *,
        threads: int | None = None,
        memory_mb: float | None = None,
        log: Callable[[str], None] = environment.say,
        program: Sequence[str] = _PROGRAM,
    ) -> None:
        threads = threads or max(1, len(os.sched_getaffinity(0)) // count)
        memory_mb = memory_mb or _MEMORY_SHARE * available_mb() / count
        options = [f"--chief={chief}", f"--threads={threads}", f"--memory={memory_mb:.0f}"]
        self._workers = [
            _Worker(
                f"local-{number}",
                [*program, *options, f"--id=local-{number}"],
                Path(folder) / f"worker-{number}.log",
                log,
            )
            for number in range(count)
        ]

    @property
    def running(self) -> int:
        """How many run, as `supervise` has last seen it."""
        return sum(worker.running for worker in self._workers)

    def supervise(self) -> None:
        """Start workers that do not run; to be called a few times a second.

        Raises:
            UserError: all of them died again and again.
        """
        for worker in self._workers:
            worker.keep()
        if all(worker.given_up for worker in self._workers):
            last = self._workers[-1]
            raise UserError(
                f"every local worker died {_MOST_DEATHS} times within {_WITHIN_S:g} s; "
                f"see {last.log}, then go on with --resume"
            )

    def stop(self, seconds: float = _STOP_S) -> None:
        """Interrupt the workers, so that they write their checkpoints, and kill them later.

        Args:
            seconds: how much later.
        """
        for worker in self._workers:
            worker.interrupt()
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            worker.end(deadline)


class _Worker:
    """One worker, and the process that it is at the moment."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, say: Callable[[str], None]
    ) -> None:
        self.name, self.log = name, log
        self.given_up = False
        self._command, self._say = command, say
        self._process: subprocess.Popen[bytes] | None = None
        self._done = False
        self._pause_s, self._start_at = 1.0, 0.0
        self._started = 0.0
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)

    @property
    def running(self) -> bool:
        return self._process is not None

    def keep(self) -> None:
        """Start it if it does not run, unless it is done or given up."""
        if self._process is not None and self._process.poll() is not None:
            code, self._process = self._process.returncode, None
            self._done = code == 0
            if not self._done:
                self._bury(code)
        wanted = self._process is None and not (self._done or self.given_up)
        if wanted and time.monotonic() >= self._start_at:
            self._start()

    def interrupt(self) -> None:
        """Ask it to write its checkpoint and to give its trial back."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait until it has ended, and kill it after the deadline."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self) -> None:
        self._started = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": python_path(), PARENT: str(os.getpid())},
                # Ctrl-C on the terminal reaches the chief alone, which passes it on.
                start_new_session=True,
            )

    def _bury(self, code: int) -> None:
        now = time.monotonic()
        if now - self._started > _WITHIN_S:
            self._pause_s = 1.0
        self._deaths.append(now)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        many = len(self._deaths) == _MOST_DEATHS
        if many and now - self._deaths[0] <= _WITHIN_S:
            self.given_up = True
            self._say(
                f"worker {self.name} died again ({how}), {_MOST_DEATHS} times within "
                f"{_WITHIN_S:g} s: it is not started any more; see {self.log}"
            )
            return
        self._say(f"worker {self.name} died ({how}); started again in {self._pause_s:g} s")
        self._start_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LARGEST_PAUSE_S)
