"""The process in which a version is opened, loaded and run: `python -m apps.export.gate.child`.

It prints one JSON object a line: what it is about to do, and every check when it ends. The parent
holds its standard input; when that closes, it kills itself and the processes that it started.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from apps.errors import cause_of
from apps.export.gate.verdict import Check, RefusedError, SkippedError, State

if TYPE_CHECKING:
    from apps.export.gate.requests import Request


def main(folder: str, niceness: str) -> NoReturn:
    """Run the checks that need TensorFlow, up to the first that fails."""
    lines = _own_stdout()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(int(niceness))

    def tell(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=lines, flush=True)

    _Checks(Path(folder), tell).run()
    tell({"done": True})
    # What a model leaves behind can hang or crash Python's shutdown, which proves nothing.
    os._exit(0)


class _Checks:
    """The checks in order; later ones use what earlier ones found."""

    def __init__(self, folder: Path, tell: Callable[[dict[str, Any]], None]) -> None:
        self._folder = folder
        self._tell = tell

    def run(self) -> None:
        self._asking("importing TensorFlow")
        import tensorflow  # noqa: F401  (its seconds belong to no check)

        steps = {"folder": self._open, "kernels": self._kernels, "swap": self._swap}
        for name, step in steps.items():
            check = self._made(name, step)
            self._show(check)
            if check.state == "failed":
                return
        # TensorFlow Serving loads as the C program does. A session in Python needs no compiler, and
        # tells more of what is wrong, and at which request.
        native = self._made("C API", self._without_python)
        if native.state != "failed":
            self._show(native)
        if native.state == "passed":
            return
        session = self._made("session", self._session)
        only_native = native.state == "failed" and session.state == "passed"
        self._show(native if only_native else session)

    def _made(self, name: str, step: Callable[[], str]) -> Check:
        self._tell({"begun": name})
        self._asking("")
        start, remedy = time.perf_counter(), ""
        state: State = "passed"
        try:
            detail = step()
        except SkippedError as error:
            state, detail = "skipped", str(error)
        except RefusedError as error:
            state, detail, remedy = "failed", error.detail, error.remedy
        # Files from elsewhere can be wrong in ways that no check foresees; they are refused too.
        except Exception as error:
            state, detail = "failed", f"ended with {cause_of(error)}"
        return Check(name, state, detail, remedy, time.perf_counter() - start)

    def _show(self, check: Check) -> None:
        self._tell({"check": dataclasses.astuple(check)})

    def _asking(self, what: str) -> None:
        self._tell({"asking": what})

    def _open(self) -> str:
        from apps.export.gate.graph import open_version

        self._version = open_version(self._folder)
        return f"whole, with the signatures {', '.join(sorted(self._version.signatures))}"

    def _kernels(self) -> str:
        from apps.export.gate.kernels import check_kernels

        return check_kernels(self._version)

    def _swap(self) -> str:
        from apps.export.gate.swap import check_swap

        return check_swap(self._version)

    @functools.cached_property
    def _requests(self) -> list[Request]:
        from apps.export.gate.requests import requests_for

        return requests_for(self._version)

    def _without_python(self) -> str:
        from apps.export.gate.answers import judge
        from apps.export.gate.native import answers_without_python

        return judge(self._requests, answers_without_python(self._version, self._requests))

    def _session(self) -> str:
        from apps.export.gate.answers import judge
        from apps.export.gate.session import answers_in_session

        answers = answers_in_session(self._version, self._requests, self._asking)
        return judge(self._requests, answers)


def _own_stdout() -> TextIO:
    """Keep standard output for our lines; whatever else is printed goes to standard error."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return lines


def _end_with_parent() -> None:
    # Not through `sys.stdin`, whose lock would be held forever.
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
