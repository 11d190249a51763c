"""Local workers that die at once are given up; those that live are told to stop."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_processes import until

from apps.errors import UserError
from tuning.distributed import local_workers
from tuning.distributed.local_workers import LocalWorkers

FAST = 60


def test_workers_that_die_again_and_again_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() * FAST)
    monkeypatch.setattr(local_workers, "time", clock)
    monkeypatch.setattr(local_workers, "_WITHIN_S", 60.0 * FAST)
    said: list[str] = []
    program = ["bash", "-c", "echo broken >&2; exit 3"]
    workers = LocalWorkers(1, "127.0.0.1:1", tmp_path, log=said.append, program=program)
    workers.supervise()

    def given_up() -> str | None:
        try:
            workers.supervise()
        except UserError as error:
            return str(error)
        return None

    reason = until(given_up)
    assert "every local worker died 5 times within" in reason
    assert str(tmp_path / "worker-0.log") in reason
    pauses = [line.rpartition(" in ")[2] for line in said[:-1]]
    assert pauses == ["1 s", "2 s", "4 s", "8 s"]
    assert all("died (exit code 3)" in line for line in said[:-1])
    assert (tmp_path / "worker-0.log").read_text() == "broken\n" * 5


def test_workers_that_are_done_are_left_alone(tmp_path: Path) -> None:
    program = ["bash", "-c", 'echo "$@" >&2', "worker"]
    workers = LocalWorkers(
        2, "127.0.0.1:1", tmp_path, threads=3, memory_mb=500, log=pytest.fail, program=program
    )
    workers.supervise()
    logs = [tmp_path / "worker-0.log", tmp_path / "worker-1.log"]
    until(lambda: all(log.read_text() for log in logs))
    for _ in range(5):
        workers.supervise()
        time.sleep(0.05)
    workers.stop()
    assert [log.read_text().split() for log in logs] == [
        ["--chief=127.0.0.1:1", "--threads=3", "--memory=500", f"--id=local-{number}"]
        for number in range(2)
    ]


def test_workers_are_interrupted_first_and_killed_later(tmp_path: Path) -> None:
    script = """
import pathlib, signal, sys, time
def end(number, frame):
    print("told", flush=True)
    if sys.argv[-1] == "--id=local-0":
        raise SystemExit(130)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""
    workers = LocalWorkers(
        2, "127.0.0.1:1", tmp_path, log=pytest.fail, program=[sys.executable, "-c", script]
    )
    workers.supervise()
    logs = [tmp_path / "worker-0.log", tmp_path / "worker-1.log"]
    until(lambda: all("ready" in log.read_text() for log in logs))
    began = time.monotonic()
    workers.stop(seconds=1.0)
    assert 0.9 < time.monotonic() - began < 5.0
    assert [log.read_text().split() for log in logs] == [["ready", "told"]] * 2
