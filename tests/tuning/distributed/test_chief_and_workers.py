"""A search on several processes, each of which is killed, stopped or restarted in turn."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from toy_processes import RunningChief, ended_once, events
from toy_search import HELD_AT, SCORE
from waiting import LIMIT, until

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


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """A file for as long as which trials wait after step `HELD_AT`."""
    file = tmp_path / "hold"
    file.touch()
    return file


def test_workers_share_the_trials_and_everybody_ends(
    start_chief: StartChief, start_worker: Start, tmp_path: Path, hold: Path
) -> None:
    chief = start_chief(trials=5, steps=4)
    workers = [start_worker(chief.address, name) for name in ("a", "b")]
    until(lambda: len(events(tmp_path)) == 2)
    hold.unlink()
    assert chief.ends()
    assert chief.failure is None
    assert [worker.wait(LIMIT) for worker in workers] == [0, 0]
    assert ended_once(tmp_path)
    assert {chief.scheduler.outcome(name).score for name in chief.scheduler.trials} == {SCORE}
    assert {process for _, process, _ in events(tmp_path)} == {str(w.pid) for w in workers}


def test_a_killed_worker_gets_its_trial_back_under_its_id(
    start_chief: StartChief, start_worker: Start, tmp_path: Path, hold: Path
) -> None:
    chief = start_chief(trials=2)
    killed = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) == HELD_AT)
    killed.kill()
    killed.wait()
    hold.unlink()
    again = start_worker(chief.address, "a")
    assert again.wait(LIMIT) == 0
    assert chief.ends()
    assert begun(tmp_path) == [(str(killed.pid), 0), (str(again.pid), HELD_AT)]
    assert ended_once(tmp_path)
    assert chief.said == []


def test_a_worker_that_never_returns_loses_its_trial_and_the_chief_ends(
    start_chief: StartChief, start_worker: Start, tmp_path: Path, hold: Path
) -> None:
    chief = start_chief(trials=2, lease_seconds=1.5)
    killed = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) == HELD_AT)
    killed.kill()
    until(lambda: chief.said)
    hold.unlink()
    other = start_worker(chief.address, "b")
    assert other.wait(LIMIT) == 0
    assert chief.ends()
    first, *others = [process for process, _ in begun(tmp_path)]
    assert (first, set(others)) == (str(killed.pid), {str(other.pid)})
    assert ended_once(tmp_path)
    assert chief.said[0] == "trial 0000 is handed out again: its worker was silent for 1.5 s"


def test_a_worker_that_hangs_drops_what_was_given_away(
    start_chief: StartChief, start_worker: Start, tmp_path: Path, hold: Path
) -> None:
    chief = start_chief(trials=1, lease_seconds=1.5)
    hanging = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) == HELD_AT)
    hanging.send_signal(signal.SIGSTOP)
    until(lambda: chief.said)
    (tmp_path / "trial_0000" / "lock").unlink()  # a stopped process keeps its lock
    other = start_worker(chief.address, "b")
    until(lambda: str(other.pid) in [process for process, _ in begun(tmp_path)])
    hanging.send_signal(signal.SIGCONT)
    until(lambda: ["0000", str(hanging.pid), "drops"] in events(tmp_path))
    hold.unlink()
    assert [hanging.wait(LIMIT), other.wait(LIMIT)] == [0, 0]
    assert chief.ends()
    ends = [process for _, process, what in events(tmp_path) if what == "ends"]
    assert len(ends) == 1


def test_workers_train_on_while_their_chief_is_gone(
    start_program: Start, start_worker: Start, tmp_path: Path, hold: Path
) -> None:
    def chief(listen: str) -> tuple[subprocess.Popen[str], str]:
        process = start_program("toy_chief.py", tmp_path, listen, 600, 3, 20, 0)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    killed, address = chief("127.0.0.1:0")
    workers = [start_worker(address, name, patience=300) for name in ("a", "b")]
    until(lambda: steps(tmp_path, "0000") == steps(tmp_path, "0001") == HELD_AT)
    killed.kill()
    killed.wait()
    hold.unlink()
    until(lambda: sum(what == "ends" for _, _, what in events(tmp_path)) == 2)
    again, _ = chief(address)
    assert [worker.wait(LIMIT) for worker in workers] == [0, 0]
    assert again.wait(LIMIT) == 0
    for trial in ("0000", "0001", "0002"):
        assert [step for _, step in begun(tmp_path, trial)] == [0]
    assert ended_once(tmp_path)


def test_local_workers_are_started_again_and_die_with_the_chief(
    start_program: Start, tmp_path: Path, hold: Path
) -> None:
    process = start_program("toy_chief.py", tmp_path, "127.0.0.1:0", 600, 4, 10, 2)
    until(lambda: steps(tmp_path, "0000") == steps(tmp_path, "0001") == HELD_AT)
    first = int(begun(tmp_path)[0][0])
    psutil.Process(first).kill()
    until(lambda: len(begun(tmp_path)) == 2)
    second = psutil.Process(int(begun(tmp_path)[1][0]))
    names = [word for word in second.cmdline() if word.startswith("--id=local-")]
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    assert len(names) == 1
    process.kill()
    _, alive = psutil.wait_procs(workers, timeout=LIMIT)
    assert alive == []
    assert "died (signal 9); started again in 1 s" in process.communicate()[1]
    assert not [event for event in events(tmp_path) if event[2] == "doubled"]


def test_a_worker_that_is_told_to_stop_gives_its_trial_back_at_once(
    start_chief: StartChief, start_worker: Start, tmp_path: Path, hold: Path
) -> None:
    chief = start_chief(trials=1)
    first = start_worker(chief.address, "a")
    until(lambda: steps(tmp_path) == HELD_AT)
    first.terminate()
    assert first.wait(LIMIT) == 130
    hold.unlink()
    assert start_worker(chief.address, "b").wait(LIMIT) == 0
    assert chief.ends()
    assert [step for _, step in begun(tmp_path)] == [0, HELD_AT]


def test_a_worker_whose_chief_never_answers_says_so_in_one_line(start_worker: Start) -> None:
    worker = start_worker("127.0.0.1:1", "a", patience=0.5)
    _, said = worker.communicate(timeout=LIMIT)
    assert worker.returncode == 2
    assert [line for line in said.splitlines() if line.startswith("error: ")] == [
        said.splitlines()[-1]
    ]
    assert "chief 127.0.0.1:1: no answer within 0.5 s" in said
