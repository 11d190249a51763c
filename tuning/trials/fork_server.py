"""The process that trials are forked from: `python -m tuning.trials.fork_server`.

It has imported TensorFlow and the application and read the rows, which takes seconds, but has not
run an operation, since TensorFlow's threads do not survive a fork. Each line on standard input is
a trial to start. Each line on standard output is a JSON object that says what becomes of it. A
trial lives no longer than this process, and this process no longer than the one that started it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from tuning.trials.job import Job

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--preload", action="append", default=[], metavar="MODULE")
    options = parser.parse_args(arguments)
    die_with(os.getppid())
    # Messages keep standard output to themselves: imports may print.
    lines = os.dup(1)
    os.dup2(2, 1)
    import tuning.trials.child  # noqa: F401  (the trial's own imports, done here once)
    from apps.training import session  # noqa: F401
    from tuning.trials.rows import RowsAhead

    ahead = RowsAhead()

    for module in options.preload:
        importlib.import_module(module)
    if tensorflow_has_run():
        print(
            f"{', '.join(options.preload)}: runs TensorFlow operations on import; move them into "
            "a function",
            file=sys.stderr,
        )
        return 2
    tell(lines, {"ready": os.getpid()})
    waiting = b""
    while True:
        while b"\n" not in waiting:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return 0
            waiting += chunk
        line, _, waiting = waiting.partition(b"\n")
        request = json.loads(line)
        _import_application(request["job"]["application"])
        ahead.read(Job(**request["job"]))
        _run_trial(request, lines)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the one that started it is gone.

    Args:
        parent: its process id; it may be gone already.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def tell(lines: int, message: dict[str, Any]) -> None:
    """Write one message; a pipe takes so short a one in one piece, so none is torn."""
    try:
        os.write(lines, json.dumps(message).encode() + b"\n")
    except BrokenPipeError:
        # The owner was killed, and the kernel is about to end this process: an exception would
        # count as the trial's failure.
        os._exit(1)


def tensorflow_has_run() -> bool:
    """Whether TensorFlow has opened its devices in this process, which starts threads."""
    from tensorflow.python.eager import context

    found = context.context_safe()
    return found is not None and bool(found._initialized)


def _run_trial(request: dict[str, Any], lines: int) -> None:
    """Fork a trial, and follow it to its end."""
    own = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _be_trial(request, lines, own)
    while True:
        # WNOWAIT: the ids of the process and of its group stay taken until the group is killed.
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        readable, _, _ = select.select([0], [], [], 0.05)
        if readable:  # nothing is sent while a trial runs: the owner has closed the pipe
            _kill_group(pid)
            os._exit(0)
    _kill_group(pid)
    _, status = os.waitpid(pid, 0)
    tell(lines, {"exited": os.waitstatus_to_exitcode(status)})


def _import_application(name: str) -> None:
    """Import an application of this package, whose modules run no operation on import."""
    from apps import catalogue

    entry = catalogue.APPLICATIONS.get(name)
    if entry and entry.place.startswith("apps."):
        # The trial meets the same error, and reports it.
        with contextlib.suppress(Exception):
            catalogue.load(name)


def _be_trial(request: dict[str, Any], lines: int, server: int) -> NoReturn:
    from tuning.trials import child

    try:
        os.setsid()
        die_with(server)
        child.main(request, lambda message: tell(lines, message))
    except BaseException:
        traceback.print_exc()
    finally:
        # TensorFlow's threads may hang at the end of the interpreter, where nothing is left to do.
        os._exit(1)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
