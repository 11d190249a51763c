"""The process that trials are forked from: `python -m tuning.trials.nursery`.

It has imported TensorFlow and the application, which takes seconds, but has not run an operation,
since TensorFlow's threads would not live in a fork. Each line on standard input is a trial to
start; standard output tells, one JSON object a line, what becomes of it. A trial lives no longer
than this process, and this process no longer than the one that started it.
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

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--preload", action="append", default=[], metavar="MODULE")
    options = parser.parse_args(arguments)
    die_with(os.getppid())
    # What is printed on import must not get between our lines.
    lines = os.dup(1)
    os.dup2(2, 1)
    import tuning.trials.child  # noqa: F401  (the trial's own imports, done here once)
    from apps.training import session  # noqa: F401

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
        _raise_trial(json.loads(line), lines)


def die_with(parent: int) -> None:
    """Have the kernel end this process when the one that started it is gone.

    Args:
        parent: its process id; it may be gone already.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def tell(lines: int, message: dict[str, Any]) -> None:
    """Write one message; it is shorter than what a pipe takes in one piece, so none is torn."""
    os.write(lines, json.dumps(message).encode() + b"\n")


def tensorflow_has_run() -> bool:
    """Whether TensorFlow has opened its devices in this process, and thereby begun threads."""
    from tensorflow.python.eager import context

    found = context.context_safe()
    return found is not None and bool(found._initialized)


def _raise_trial(request: dict[str, Any], lines: int) -> None:
    """Fork a trial, and follow it to its end."""
    _import_application(request["job"]["application"])
    nursery = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _be_trial(request, lines, nursery)
    while True:
        # Its id, and that of its group, stay its own until it is waited for.
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        readable, _, _ = select.select([0], [], [], 0.05)
        if readable:  # nothing is sent meanwhile: the pipe was closed
            _kill_group(pid)
            os._exit(0)
    _kill_group(pid)
    _, status = os.waitpid(pid, 0)
    tell(lines, {"exited": os.waitstatus_to_exitcode(status)})


def _import_application(name: str) -> None:
    """Import an application of this package, whose modules are known to run nothing on import."""
    from apps import catalogue

    entry = catalogue.APPLICATIONS.get(name)
    if entry and entry.place.startswith("apps."):
        # What it raises is told where the trial comes to it again.
        with contextlib.suppress(Exception):
            catalogue.load(name)


def _be_trial(request: dict[str, Any], lines: int, nursery: int) -> NoReturn:
    from tuning.trials import child

    try:
        os.setsid()
        die_with(nursery)
        child.main(request, lambda message: tell(lines, message))
    except BaseException:
        traceback.print_exc()
    finally:
        # No end of the interpreter: TensorFlow's threads may hang there, and nothing is left to do.
        os._exit(1)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
