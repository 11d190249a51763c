"""The fork server as its owner sees it: takes trials, and reports what becomes of them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

from apps.errors import UserError

_CLOSE_SECONDS = 5.0


class LostError(Exception):
    """The fork server is gone, and its trial with it."""


class ForkServer:
    """A running `python -m tuning.trials.fork_server`.

    The process ends with the thread that makes this object.

    Args:
        threads: for the numerical libraries beside TensorFlow; None for their own choice.
        preload: modules that it imports before the first trial.
    """

    def __init__(self, threads: int | None, preload: Sequence[str]) -> None:
        modules = [part for module in preload for part in ("--preload", module)]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tuning.trials.fork_server", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=_environment(threads),
            # Ctrl-C on the terminal is for the owner, who lets a trial write its checkpoint.
            start_new_session=True,
        )
        self._ready = False
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def send(self, request: dict[str, Any]) -> None:
        """Start a trial; the one before has exited.

        Raises:
            LostError: the process is gone.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._lost() from None

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next message of a trial, if one comes within so many seconds.

        Raises:
            LostError: there will be no more.
            UserError: the process could not be started.
        """
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            return None
        if message is None:
            self._messages.put(None)
            raise self._lost()
        if "ready" in message:
            self._ready = True
            return None
        return message

    def kill(self) -> None:
        """Kill it and its trial."""
        self._process.kill()
        self._process.wait()
        self._close()

    def close(self) -> None:
        """End it when no trial runs."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._complaints):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                # A killed process may leave half a line.
                with contextlib.suppress(ValueError):
                    self._messages.put(json.loads(line))
        self._messages.put(None)

    def _lost(self) -> Exception:
        self._process.kill()
        self._process.wait()
        if self._ready or self._process.returncode < 0:
            return LostError(f"the process that starts trials ended ({self._process.returncode})")
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        return UserError(f"trials cannot be started: {said[-1] if said else 'no reason given'}")


def python_path() -> str:
    """`PYTHONPATH` that lets another process import what this one can, in any folder."""
    return os.pathsep.join(os.path.abspath(entry) for entry in sys.path)


def _environment(threads: int | None) -> dict[str, str]:
    """The environment variables of a fork server."""
    environment = {**os.environ, "PYTHONPATH": python_path()}
    # Another trial, or an orphan that is about to end, may use the same GPU.
    environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if threads is not None:
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    return environment
