"""A trial's own process: trains, and leaves an outcome."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

from tuning.trials.faults import REASON, full_disk, lost_another, one_line, out_of_memory
from tuning.trials.folder import OccupiedError, TrialFolder
from tuning.trials.job import Job, Outcome
from tuning.trials.training import OverBudgetError, Tell, Training

# How long a trial waits for the process of an earlier attempt to be gone.
LOCK_SECONDS = 20.0
# How an attempt can end; only `FINISHED` leaves an outcome.
FINISHED, INTERRUPTED, MEMORY = "finished", "interrupted", "memory"
DISK, OCCUPIED, PARTED = "disk", "occupied", "parted"
# Before a trial that hangs is killed, this shows in its log where it hangs.
SHOW_STACKS = signal.SIGQUIT


class _PartedError(Exception):
    """Another process of the same training is gone."""


def main(request: dict[str, Any], tell: Tell) -> NoReturn:
    """Be the process of one trial.

    Args:
        request: `job`, and `threads` within an operation, None for TensorFlow's choice.
        tell: sends a message: `started`, `progress`, and finally `ended`.
    """
    # A shell that starts a search in the background has it ignore SIGINT; a trial must not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _offer_to_the_kernel()
    tell({"started": os.getpid()})
    job = Job(**request["job"])
    ended = _attempt(job, request["threads"], tell)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tell(ended)
    os._exit(0)


def _attempt(job: Job, threads: int | None, tell: Tell) -> dict[str, Any]:
    """Make one attempt, and say how it ended."""
    folder = TrialFolder.of(job)
    try:
        with folder.locked(LOCK_SECONDS):
            if folder.outcome() is None:
                _redirect(folder)
                outcome = _outcome(Training(job, folder, threads, tell))
                # An interrupt could only lose the outcome.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                folder.write_outcome(outcome)
                folder.sweep()
            return {"ended": FINISHED}
    except KeyboardInterrupt:
        return {"ended": INTERRUPTED}
    except _PartedError as error:
        return {"ended": PARTED, "detail": str(error)}
    except OccupiedError as error:
        return {"ended": OCCUPIED, "detail": str(error)}
    except MemoryError as error:
        return {"ended": MEMORY, "detail": str(error)[:REASON]}
    except OSError as error:
        _show(error)
        file = error.filename or folder.path
        return {"ended": DISK, "errno": error.errno or errno.EIO, "file": str(file)}


def _outcome(training: Training) -> Outcome:
    """The outcome of a training, failed or not.

    Raises:
        KeyboardInterrupt, MemoryError, OSError, _PartedError: the attempt ends without an outcome.
    """
    try:
        return training.run()
    except KeyboardInterrupt:
        raise
    except OverBudgetError as error:
        return training.failed(str(error))
    except BaseException as error:
        disk = full_disk(error)
        if disk is not None:
            file = getattr(disk, "filename", None) or str(training.folder.path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file) from error
        _show(error)
        if out_of_memory(error):
            raise MemoryError(one_line(error)) from error
        if training.job.strategy == "multiworker" and lost_another(error):
            raise _PartedError(f"lost a process beside it: {one_line(error)}") from error
        return training.failed(one_line(error))


def _redirect(folder: TrialFolder) -> None:
    """Send all output to the trial's log, and temporary files to a folder that is removed."""
    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    # A trial that asks on the terminal must not wait for an answer.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.enable(file=sys.stderr)
    faulthandler.register(SHOW_STACKS, file=sys.stderr)
    folder.sweep()
    folder.scratch.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder.scratch)


def _offer_to_the_kernel() -> None:
    """Have the kernel, when memory runs out, kill this process before any other."""
    # Where a sandbox forbids it, the executor's own limit still holds.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _show(error: BaseException) -> None:
    """Write the traceback to the trial's log, if that can be written."""
    with contextlib.suppress(OSError):
        traceback.print_exception(error)
        sys.stderr.flush()
