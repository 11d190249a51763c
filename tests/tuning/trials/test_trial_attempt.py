"""How the end of a process is read, told by a fork server that only plays one."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuning.trials import attempt
from tuning.trials.executor import Executor
from tuning.trials.folder import TrialFolder
from tuning.trials.job import Job, Outcome, Progress

Jobs = Callable[..., Job]
Message = dict[str, Any]


class PlayedForkServer:
    """Tells the same messages for every trial; its trial is a process that sleeps."""

    alive = True

    def __init__(self, told: list[Message], exit_code: int | None, on_start: Any = None) -> None:
        self._told, self._exit, self._on_start = told, exit_code, on_start
        self._sleepers: list[subprocess.Popen[bytes]] = []
        self._left: list[Message] = []

    def send(self, request: Message) -> None:
        sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
        self._sleepers.append(sleeper)
        self._left = [{"started": sleeper.pid}, *self._told]
        if self._on_start:
            self._on_start()

    def receive(self, seconds: float) -> Message | None:
        if self._left:
            return self._left.pop(0)
        if self._exit is not None:
            return {"exited": self._exit}
        code = self._sleepers[-1].poll()
        if code is not None:
            return {"exited": code}
        time.sleep(0.01)
        return None

    def close(self) -> None:
        for sleeper in self._sleepers:
            sleeper.kill()
            sleeper.wait()

    kill = close


@pytest.fixture
def ended(job: Jobs, tmp_path: Path) -> Iterator[Callable[..., Outcome]]:
    """A function that runs a trial in a played fork server and gives its outcome."""
    played: list[PlayedForkServer] = []

    def run(
        told: list[Message], exit_code: int | None, on_start: Any = None, **fields: Any
    ) -> Outcome:
        runs = Executor(memory_mb=1000.0, grace_seconds=0.1)
        server: Any = PlayedForkServer(told, exit_code, on_start)
        played.append(server)
        runs._fork_server = server
        return runs.run(job(tmp_path, **{"minutes": 1.0, **fields}), lambda progress: True)

    yield run
    for server in played:
        server.close()


def test_hung_after_an_epoch(ended: Callable[..., Outcome]) -> None:
    progress = {"progress": vars(Progress(2, 12, 0.7, 5.0)), "fit_seconds": 4.0}
    outcome = ended([progress], None, minutes=0.001)
    assert (outcome.status, outcome.reason) == ("FAILED", "hung: no end after 0.001 minutes")
    assert (outcome.epochs, outcome.fit_seconds) == (2, 4.0)


def test_ended_by_the_kernel_for_its_memory(
    ended: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter(range(100))
    monkeypatch.setattr(attempt, "out_of_memory_kills", lambda: next(counts))
    outcome = ended([], -signal.SIGKILL)
    assert outcome.accumulation_steps == 2
    assert outcome.reason.startswith("out of memory, at half the batch too: ended by the system at")


def test_aborted_for_want_of_memory(ended: Callable[..., Outcome], tmp_path: Path) -> None:
    def complain() -> None:
        (tmp_path / "trial.log").write_text("terminate called after throwing 'std::bad_alloc'\n")

    outcome = ended([], -signal.SIGABRT, on_start=complain)
    assert outcome.accumulation_steps == 2
    assert outcome.reason.startswith("out of memory, at half the batch too: no more to be had")


def test_crashed(ended: Callable[..., Outcome]) -> None:
    outcome = ended([], -signal.SIGSEGV)
    assert (outcome.status, outcome.accumulation_steps) == ("FAILED", 1)
    assert outcome.reason == "killed by signal 11 (SIGSEGV)"


def test_said_that_it_had_an_outcome_and_left_none(ended: Callable[..., Outcome]) -> None:
    outcome = ended([{"ended": "finished"}], 0)
    assert (outcome.status, outcome.reason) == ("FAILED", "left no outcome")


def test_found_another_process_in_its_folder(ended: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = ended([{"ended": "occupied", "detail": "somebody trains there"}], 0)
    assert (outcome.status, outcome.reason) == ("INTERRUPTED", "somebody trains there")
    assert not (tmp_path / "result.json").exists()


def test_together_with_other_processes(
    ended: Callable[..., Outcome], job: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # One that is lost may come back more often than a trial may be killed.
    told = {"ended": "parted", "detail": "lost a process that trains along"}
    outcome = ended([told], 0, strategy="multiworker")
    assert (outcome.status, outcome.reason) == ("FAILED", told["detail"])
    assert (tmp_path / "trial.log").read_text().count("once more") == 4

    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    role = {"cluster": cluster, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(role))
    together = job(tmp_path, strategy="multiworker")
    first, third = TrialFolder(tmp_path), TrialFolder.of(together)
    assert TrialFolder.of(job(tmp_path)).task == 0
    assert third.task == 2
    assert third.run == first.run
    assert (
        len({first.log, third.log, first.result, third.result, first.scratch, third.scratch}) == 6
    )
    # It begins whenever the first does, and touches nothing of what that one keeps.
    third.write_attempts(third.begin(together))
    third.write_outcome(outcome)
    assert third.begin(together).kills == 0
    assert third.outcome() is None
    assert first.outcome() == outcome

    # Their batches would have to be halved in all of them at once.
    outcome = ended([{"ended": "memory", "detail": "9 MB > 8 MB"}], 0, strategy="multiworker")
    assert (outcome.reason, outcome.accumulation_steps) == ("out of memory: 9 MB > 8 MB", 1)
