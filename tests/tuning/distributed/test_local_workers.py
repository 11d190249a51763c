"""Local workers that die at once are given up; those that live are told to stop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from waiting import LIMIT, until

from apps.errors import UserError
from tuning.distributed import local_workers
from tuning.distributed.local_workers import LocalWorkers


def supervise_until(workers: LocalWorkers, condition: Callable[[], bool]) -> None:
    def met() -> bool:
        workers.supervise()
        return condition()

    until(met)


def test_workers_that_die_again_and_again_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(local_workers, "time", SimpleNamespace(monotonic=lambda: now[0]))
    said: list[str] = []
    program = ["bash", "-c", "echo broken >&2; exit 3"]
    workers = LocalWorkers(1, "127.0.0.1:1", tmp_path, log=said.append, program=program)
    for pause in (1, 2, 4, 8):
        said.clear()
        supervise_until(workers, lambda: bool(said))
        assert said[-1].endswith(f"died (exit code 3); started again in {pause} s")
        now[0] += pause
    with pytest.raises(UserError, match="every local worker died 5 times within") as given_up:
        supervise_until(workers, lambda: False)
    assert str(tmp_path / "worker-0.log") in str(given_up.value)
    assert (tmp_path / "worker-0.log").read_text() == "broken\n" * 5


def test_workers_that_are_done_are_left_alone(tmp_path: Path) -> None:
    program = ["bash", "-c", 'echo "$@" >&2', "worker"]
    workers = LocalWorkers(
        2, "127.0.0.1:1", tmp_path, threads=3, memory_mb=500, log=pytest.fail, program=program
    )
    workers.supervise()
    supervise_until(workers, lambda: not workers.running)
    workers.supervise()
    assert not workers.running
    logs = [tmp_path / "worker-0.log", tmp_path / "worker-1.log"]
    assert [log.read_text().split() for log in logs] == [
        ["--chief=127.0.0.1:1", "--threads=3", "--memory=500", f"--id=local-{number}"]
        for number in range(2)
    ]


@pytest.mark.parametrize("deaf", [False, True])
def test_workers_are_interrupted_first_and_killed_later(tmp_path: Path, deaf: bool) -> None:
    script = f"""
import os, signal, time
def end(number, frame):
    print("told", flush=True)
    raise SystemExit(130)
signal.signal(signal.SIGTERM, signal.SIG_IGN if {deaf} else end)
print("ready", os.getpid(), flush=True)
while True:
    time.sleep(0.02)
"""
    log = tmp_path / "worker-0.log"
    workers = LocalWorkers(
        1, "127.0.0.1:1", tmp_path, log=pytest.fail, program=[sys.executable, "-c", script]
    )
    workers.supervise()
    until(lambda: log.read_text().endswith("\n"))
    workers.stop(seconds=0.1 if deaf else LIMIT)
    _, pid, *told = log.read_text().split()
    assert told == ([] if deaf else ["told"])
    assert not psutil.pid_exists(int(pid))
