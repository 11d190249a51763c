"""A search on several processes, each of which is killed, stopped or restarted in turn."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from toy_processes import RunningChief, ended_once, events, until
from toy_search import SCORE

pytestmark = pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="signals and their effects as Linux has them"
)
StartChief = Callable[..., RunningChief]
Start = Callable[..., subprocess.Popen[str]]


def begun(folder: Path, trial: str = "0000") -> list[tuple[str, int]]:
    """Process and first step of each attempt at a trial."""
    return [
        (process, int(what.removeprefix("begins at ")))
        for name, process, what in events(folder)
        if name == trial and what.startswith("begins")
    ]


def steps(folder: Path, trial: str = "0000") -> int:
    file = folder / f"trial_{trial}" / "steps"
    return int(file.read_text() or 0) if file.exists() else 0


def test_workers_share_the_trials_and_everybody_ends(
    start_chief: StartChief, start_worker: Start, tmp_path: Path
) -> None:
    chief = start_chief(trials=5, steps=4)
    workers = [start_worker(chief.address, name) for name in ("a", "b")]
    assert chief.ends_within(30)
    assert chief.failure is None
    assert [worker.wait(10) for worker in workers] == [0, 0]
    assert ended_once(tmp_path)
    assert {chief.scheduler.outcome(name).score for name in chief.scheduler.trials} == {SCORE}
    assert {process for _, process, _ in events(tmp_path)} == {str(w.pid) for w in workers}


def test_a_killed_worker_gets_its_trial_back_under_its_id(
    start_chief: StartChief, start_worker: Start, tmp_path: Path
) -> None:
    chief = start_chief(trials=2, steps=20, lease_seconds=60.0)
    killed = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) >= 3)
    killed.kill()
    killed.wait()
    reached = steps(tmp_path)
    again = start_worker(chief.address, "a")
    assert again.wait(30) == 0
    assert chief.ends_within(5)
    assert begun(tmp_path) == [(str(killed.pid), 0), (str(again.pid), reached)]
    assert ended_once(tmp_path)
    assert chief.said == []


def test_a_worker_that_never_returns_loses_its_trial_and_the_chief_ends(
    start_chief: StartChief, start_worker: Start, tmp_path: Path
) -> None:
    chief = start_chief(trials=2, steps=20, lease_seconds=1.5)
    killed = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) >= 3)
    killed.kill()
    other = start_worker(chief.address, "b")
    assert other.wait(30) == 0
    assert chief.ends_within(5)
    assert [process for process, _ in begun(tmp_path)] == [str(killed.pid), str(other.pid)]
    assert ended_once(tmp_path)
    assert chief.said == [
        "trial 0000 is handed out again: its worker was silent for 1.5 s",
    ]


def test_a_worker_that_hangs_drops_what_was_given_away(
    start_chief: StartChief, start_worker: Start, tmp_path: Path
) -> None:
    chief = start_chief(trials=1, steps=60, lease_seconds=1.5)
    hanging = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) >= 3)
    hanging.send_signal(signal.SIGSTOP)
    until(lambda: chief.said)
    (tmp_path / "trial_0000" / "lock").unlink()  # a stopped process keeps its lock
    other = start_worker(chief.address, "b")
    until(lambda: len(begun(tmp_path)) == 2)
    hanging.send_signal(signal.SIGCONT)
    until(lambda: ["0000", str(hanging.pid), "drops"] in events(tmp_path))
    assert [hanging.wait(30), other.wait(30)] == [0, 0]
    assert chief.ends_within(5)
    ends = [process for _, process, what in events(tmp_path) if what == "ends"]
    assert ends == [str(other.pid)]


def test_workers_train_on_while_their_chief_is_gone(
    start_program: Start, start_worker: Start, tmp_path: Path
) -> None:
    def chief(listen: str) -> tuple[subprocess.Popen[str], str]:
        process = start_program("toy_chief.py", tmp_path, listen, 20, 3, 20, 0)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    killed, address = chief("127.0.0.1:0")
    workers = [start_worker(address, name, patience=30) for name in ("a", "b")]
    until(lambda: steps(tmp_path, "0000") >= 2 and steps(tmp_path, "0001") >= 2)
    killed.kill()
    until(lambda: sum(what == "ends" for _, _, what in events(tmp_path)) == 2)
    again, _ = chief(address)
    assert [worker.wait(30) for worker in workers] == [0, 0]
    assert again.wait(10) == 0
    for trial in ("0000", "0001", "0002"):
        assert [step for _, step in begun(tmp_path, trial)] == [0]
    assert ended_once(tmp_path)


def test_local_workers_are_started_again_and_die_with_the_chief(
    start_program: Start, tmp_path: Path
) -> None:
    process = start_program("toy_chief.py", tmp_path, "127.0.0.1:0", 2, 4, 100, 2)
    until(lambda: steps(tmp_path, "0000") >= 2 and steps(tmp_path, "0001") >= 2)
    first = int(begun(tmp_path)[0][0])
    psutil.Process(first).kill()
    until(lambda: len(begun(tmp_path)) == 2)
    second = psutil.Process(int(begun(tmp_path)[1][0]))
    names = [word for word in second.cmdline() if word.startswith("--id=local-")]
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    assert len(names) == 1
    process.kill()
    psutil.wait_procs(workers, timeout=3)
    assert not any(worker.is_running() for worker in workers)
    assert "died (signal 9); started again in 1 s" in process.communicate()[1]
    assert not [event for event in events(tmp_path) if event[2] == "doubled"]


def test_a_worker_that_is_told_to_stop_gives_its_trial_back_at_once(
    start_chief: StartChief, start_worker: Start, tmp_path: Path
) -> None:
    chief = start_chief(trials=1, steps=40, lease_seconds=60.0)
    first = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) >= 3)
    first.terminate()
    assert first.wait(10) == 130
    reached = steps(tmp_path)
    assert start_worker(chief.address, "b").wait(30) == 0
    assert chief.ends_within(5)
    assert [step for _, step in begun(tmp_path)] == [0, reached]


def test_a_worker_whose_chief_never_answers_says_so_in_one_line(start_worker: Start) -> None:
    worker = start_worker("127.0.0.1:1", "a", patience=0.5)
    _, said = worker.communicate(timeout=20)
    assert worker.returncode == 2
    assert [line for line in said.splitlines() if line.startswith("error: ")] == [
        said.splitlines()[-1]
    ]
    assert "chief 127.0.0.1:1: no answer within 0.5 s" in said


def test_a_chief_that_was_stopped_does_not_take_its_own_silence_for_the_workers(
    start_program: Start, start_worker: Start, tmp_path: Path
) -> None:
    chief = start_program("toy_chief.py", tmp_path, "127.0.0.1:0", 2, 1, 80, 0)
    assert chief.stdout is not None
    worker = start_worker(chief.stdout.readline().strip(), "a")
    until(lambda: steps(tmp_path) >= 3)
    chief.send_signal(signal.SIGSTOP)
    time.sleep(2.5)  # the lease is 2 s
    assert steps(tmp_path) < 80
    chief.send_signal(signal.SIGCONT)
    assert worker.wait(20) == 0
    assert "handed out again" not in chief.communicate(timeout=10)[1]
    assert [step for _, step in begun(tmp_path)] == [0]
