"""The loop of a worker: asks for a trial, runs it, reports it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from tuning.scheduler import Scheduler, Wait
from tuning.trials.executor import Executor
from tuning.trials.job import COMPLETED, INTERRUPTED, Job, Outcome, Progress


def work(scheduler: Scheduler, executor: Executor, worker: str, log: Callable[[str], None]) -> None:
    """Run trials until the search is over.

    Args:
        scheduler: hands them out.
        executor: runs them.
        worker: the name under which they are handed out.
        log: takes a line for each trial.

    Raises:
        KeyboardInterrupt, OSError, UserError: from the executor or the scheduler; the trial under
            way has been given back.
    """
    try:
        while (task := scheduler.next(worker)) is not None:
            if isinstance(task, Wait):
                time.sleep(task.seconds)
                continue
            outcome = executor.run(task, _watch(scheduler, worker, task))
            log(_line(task, outcome))
            # An interrupted trial belongs to another worker, or is handed to this one again.
            if outcome.status != INTERRUPTED:
                scheduler.end(worker, task.id, outcome)
    except BaseException:
        # The error to raise is the first one, not that the scheduler cannot be reached.
        with contextlib.suppress(Exception):
            scheduler.release(worker)
        raise


def _watch(scheduler: Scheduler, worker: str, job: Job) -> Callable[[Progress], bool]:
    return lambda progress: scheduler.beat(worker, job.id, progress)


def _line(job: Job, outcome: Outcome) -> str:
    if outcome.status != COMPLETED:
        return f"trial {job.id}: {outcome.status}: {outcome.reason}"
    return (
        f"trial {job.id}: {job.objective} {outcome.score:.4f} after {outcome.epochs} epochs, "
        f"{outcome.seconds:.0f} s"
    )
