"""The gate's parent process: it starts the process that runs the checks, and outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import site
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO, cast

from apps.errors import UserError
from apps.export.gate.files import require_version_folder
from apps.export.gate.verdict import Check, RefusedError, Verdict

ROOT = os.fspath(Path(__file__).parents[3])
NICENESS = 10
# A line of TensorFlow's log: severity, date, time, process, source file, then the message.
FATAL = re.compile(r"F\d{4} \S+ +\d+ [^\]]*\] (.*)")
MEMORY = "most likely because memory ran out; give it more, or export a smaller model"


def verify(
    version: str | os.PathLike[str],
    *,
    low_priority: bool = False,
    timeout_s: float = 600,
    log: Callable[[str], None] | None = None,
) -> Verdict:
    """Check whether TensorFlow Serving can load a SavedModel version, ours or another's.

    Args:
        version: a version folder, such as `saved_models/sentiment/3`.
        low_priority: let other processes go first, for a host that also serves.
        timeout_s: seconds after which a version is refused if its checks have not ended.
        log: called with one line for each check as it ends.

    Returns:
        The verdict. A version that is wrong never raises an error.

    Raises:
        UserError: `timeout_s` is not positive.
    """
    if not 0 < timeout_s <= threading.TIMEOUT_MAX:
        raise UserError(f"a time limit of {timeout_s} s is not possible; give a positive number")
    # Kept as given, since messages name what the user wrote.
    folder = Path(version)
    checks: list[Check] = []
    # Closed at once if `log` raises or Ctrl-C comes, which ends the process that runs the checks.
    with contextlib.closing(_checks(folder, low_priority, timeout_s)) as made:
        for check in made:
            checks.append(check)
            if log is not None:
                log(str(check))
    return Verdict(folder, tuple(checks))


def _checks(folder: Path, low_priority: bool, timeout_s: float) -> Generator[Check, None, None]:
    start = time.perf_counter()
    try:
        require_version_folder(folder)
    except RefusedError as error:
        seconds = time.perf_counter() - start
        yield Check("folder", "failed", error.detail, error.remedy, seconds)
        return
    except OSError as error:
        detail = f"cannot be read ({error.strerror})"
        yield Check("folder", "failed", detail, "change its permissions")
        return
    with tempfile.TemporaryFile() as stderr:
        yield from _checks_of_child(folder, low_priority, timeout_s, stderr)


def _checks_of_child(
    folder: Path, low_priority: bool, timeout_s: float, stderr: BinaryIO
) -> Generator[Check, None, None]:
    child = subprocess.Popen(
        child_command(folder, low_priority),
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        # A process group of its own: the child and what it starts end together, and Ctrl-C is ours.
        start_new_session=True,
    )
    late = threading.Event()

    def give_up() -> None:
        late.set()
        _kill(child)

    timer = threading.Timer(timeout_s, give_up)
    timer.start()
    begun, asking, done = "folder", "", False
    since = time.perf_counter()
    try:
        for line in cast(BinaryIO, child.stdout):
            told = _parsed(line)
            begun, asking = told.get("begun", begun), told.get("asking", asking)
            if "begun" in told:
                since = time.perf_counter()
            if "check" in told:
                yield Check(*told["check"])
            done = done or "done" in told
        code = child.wait()
        if not done:
            detail, remedy = _end_of(code, late.is_set(), timeout_s, stderr)
            during = f", at {asking}" if asking else ""
            seconds = time.perf_counter() - since
            transient = late.is_set() or code == -signal.SIGKILL
            yield Check(begun, "failed", detail + during, remedy, seconds, transient)
    finally:
        timer.cancel()
        # The child may be gone while a process that it started is alive.
        _kill(child)
        with child:
            pass


def child_command(folder: Path, low_priority: bool) -> list[str]:
    """The command that runs the checks; `-P` keeps modules of the working folder out of it."""
    module = "apps.export.gate.child"
    niceness = str(NICENESS if low_priority else 0)
    return [sys.executable, "-P", "-m", module, os.fspath(folder), niceness]


def _environment() -> dict[str, str]:
    """The environment of a server: no GPU, and TensorFlow's own kernels."""
    # Python finds site-packages without help; if they came first, a backport in them would hide a
    # module of the standard library.
    found = {*site.getsitepackages(), site.getusersitepackages()}
    path = [*({ROOT} - found), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "CUDA_VISIBLE_DEVICES": "-1",
        "APPS_NATIVE_LSTM": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return json.loads(line)
    # The last line of a killed process may be cut off.
    except ValueError:
        return {}


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _end_of(code: int, late: bool, timeout_s: float, stderr: BinaryIO) -> tuple[str, str]:
    """Why the child ended early, and the remedy."""
    if late:
        return f"not done within {timeout_s:g} s", "the model hangs, or needs a longer time limit"
    last = _last_line(stderr)
    if code == -signal.SIGKILL:
        return "the process that ran the model was killed by SIGKILL", MEMORY
    if code < 0:
        name = signal.Signals(-code).name
        said = f": {last}" if code == -signal.SIGABRT and last else ""
        return (
            f"the process that ran the model crashed with {name}{said}",
            "a server would crash too; mend the model and export again",
        )
    return f"the process that ran the model failed: {last or f'exit status {code}'}", ""


def _last_line(stderr: BinaryIO) -> str:
    """The last reason printed; TensorFlow's fatal one if there is one."""
    stderr.seek(0)
    lines = [line.strip() for line in stderr.read().decode(errors="replace").splitlines()]
    fatal = [match.group(1) for match in map(FATAL.match, lines) if match]
    return ([""] + (fatal or [line for line in lines if line]))[-1][:300]
