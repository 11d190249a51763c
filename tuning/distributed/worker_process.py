"""`python -m tuning worker`: joins a search and works until it is over."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from apps import environment
from tuning.distributed.connection import Connection
from tuning.distributed.following import FollowingScheduler
from tuning.distributed.paths import Paths
from tuning.distributed.remote import RemoteScheduler
from tuning.trials.executor import Executor
from tuning.trials.fork_server import die_with
from tuning.trials.task import Task
from tuning.trials.worker import work

PARENT = "TUNING_PARENT"
# A shell that starts this in the background has SIGINT ignored, and Python leaves it so.
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

    A worker that was killed gets its trial back under its id. SIGTERM counts as Ctrl-C.

    Args:
        chief: `HOST:PORT`.
        worker: its id, which no other worker has, and which stays the same over restarts.
        data: where the training data are on this machine; as the chief says unless given.
        folder: where the search's folder is on this machine; as the chief says unless given.
        threads: of a trial within an operation; all processors unless given.
        memory_mb: resident memory that a trial may take; 90 % of what is free unless given.
        patience_seconds: how long to wait for a chief that does not answer.
        log: takes progress lines.

    Raises:
        UserError: the chief cannot be reached or has other versions.
        KeyboardInterrupt: with the trial's checkpoint written and the trial given back.
    """
    if PARENT in os.environ:
        die_with(int(os.environ[PARENT]))
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
            signal.signal(number, signal.SIG_IGN)  # nothing is left to interrupt
        log(f"worker {worker}: the search is over")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
