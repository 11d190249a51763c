"""Starts chiefs and workers over a search of toys, and ends what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_processes import RunningChief
from toy_search import ToyScheduler

from tuning.distributed import chief as chief_module

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_chief(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., RunningChief]]:
    """Starts a chief over `tmp_path` in this process, without KerasTuner's service."""
    monkeypatch.setattr(chief_module, "serve_keras_tuner", lambda *given: None)
    monkeypatch.setattr(chief_module, "TICK_S", 0.02)
    running: list[RunningChief] = []

    def start(
        lease_seconds: float = 600.0, listen: str = "127.0.0.1:0", **search: Any
    ) -> RunningChief:
        running.append(RunningChief(ToyScheduler(tmp_path, **search), lease_seconds, listen))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def start_program() -> Iterator[Start]:
    """Starts one of the programs of this folder; kills what is left of it."""
    running: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: object) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [sys.executable, str(HERE / program), *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


@pytest.fixture
def start_worker(start_program: Start) -> Start:
    """Starts a worker process under an id."""

    def start(chief: str, name: str, **options: object) -> subprocess.Popen[str]:
        more = [f"--{key}={value}" for key, value in options.items()]
        return start_program("toy_worker.py", f"--chief={chief}", f"--id={name}", *more)

    return start
