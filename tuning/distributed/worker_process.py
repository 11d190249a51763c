"""What `python -m tuning worker` does: joins a search, and works until it is over."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from apps import environment
from tuning.distributed.connection import Connection
from tuning.distributed.following import FollowingScheduler, Task
from tuning.distributed.paths import Paths
from tuning.distributed.remote import RemoteScheduler
from tuning.trials.executor import Executor
from tuning.trials.worker import work

PARENT = "TUNING_PARENT"
_PR_SET_PDEATHSIG = 1
# SIGINT has to be set too: where a shell started this in the background, Python leaves it ignored.
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def run_worker(
    chief: str,
    worker: str,
    *,
    data: str | None = None,
    folder: str | None = None,
    threads: int | None = None,
    memory_mb: float | None = None,
    patience_seconds: float = 600.0,
    log: Callable[[str], None] = environment.say,
) -> None:
    """Run trials for a chief until its search is over.

    Under its id a worker that was killed gets its trial back. SIGTERM is taken as Ctrl-C is.

    Args:
        chief: `HOST:PORT`.
        worker: the id, different from all other workers' and the same after a restart.
        data: where the training data are on this machine; as the chief says unless given.
        folder: where the search's folder is on this machine; as the chief says unless given.
        threads: for each operation of a trial; all processors unless given.
        memory_mb: a trial that takes more is out of memory; 90 % of what is free unless given.
        patience_seconds: how long a chief that does not answer is waited for.
        log: takes progress lines.

    Raises:
        UserError: the chief cannot be reached or has other versions.
        KeyboardInterrupt: with the trial's checkpoint written and the trial given back.
    """
    die_with_parent()
    for number in _STOPPING:
        signal.signal(number, _interrupt)
    with contextlib.ExitStack() as ends:
        connection = Connection(chief, patience_seconds, log)
        ends.callback(connection.close)
        settings = connection.introduce()
        task = Task.from_environment() if settings.strategy == "multiworker" else Task()
        paths = Paths(data, folder)
        paths.require_data(settings.data)
        scheduler: RemoteScheduler | FollowingScheduler
        if task.index:
            scheduler = FollowingScheduler(connection, paths, task.index)
        else:
            scheduler = RemoteScheduler(connection, paths, task.count)
        executor = Executor(threads=threads, memory_mb=memory_mb)
        ends.callback(executor.close)
        work(scheduler, executor, worker, log)
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)  # nothing is left to be interrupted
        log(f"worker {worker}: the search is over")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def die_with_parent() -> None:
    """Have the kernel end this process when the one that supervises it, if any, is gone."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        os.kill(os.getpid(), signal.SIGKILL)
