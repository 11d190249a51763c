"""What a chief and a worker say to each other, and what they make of trouble."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from toy_processes import RunningChief, until
from toy_search import SCORE, ToyScheduler

from apps.errors import UserError
from tuning.distributed import protocol
from tuning.distributed.address import Address
from tuning.distributed.chief import Chief
from tuning.distributed.connection import Connection
from tuning.distributed.following import FollowingScheduler, Task
from tuning.distributed.paths import Paths
from tuning.distributed.protocol import SERVICE
from tuning.distributed.remote import RemoteScheduler
from tuning.scheduler import Scheduler, Wait
from tuning.trials.job import Job, Outcome, Progress

StartChief = Callable[..., RunningChief]


def connect(chief: RunningChief, patience_seconds: float = 5.0) -> Connection:
    return Connection(chief.address, patience_seconds, chief.said.append)


@pytest.fixture
def chief(start_chief: StartChief) -> RunningChief:
    return start_chief(trials=2)


@pytest.fixture
def remote(chief: RunningChief) -> Iterator[RemoteScheduler]:
    scheduler = RemoteScheduler(connect(chief), Paths())
    yield scheduler
    scheduler.close()


def job_of(scheduler: Scheduler, worker: str = "a") -> Job:
    given = scheduler.next(worker)
    assert isinstance(given, Job)
    return given


def test_every_digit_and_word_arrives(chief: RunningChief, remote: RemoteScheduler) -> None:
    job = job_of(remote)
    assert job == chief.scheduler._job("0000")
    outcome = Outcome("FAILED", reason="“NaN” in step 3", score=float("inf"), metrics={"f1": SCORE})
    remote.end("a", job.id, outcome)
    assert chief.scheduler.outcome(job.id) == outcome
    assert connect(chief).introduce() == chief.scheduler.settings


def test_asking_and_reporting_twice_change_nothing(
    chief: RunningChief, remote: RemoteScheduler
) -> None:
    job = job_of(remote)
    assert job_of(remote) == job
    for score in (0.5, 0.9):
        remote.end("a", job.id, Outcome("COMPLETED", score=score))
    assert chief.scheduler.outcome(job.id).score == 0.5
    assert job_of(remote).id == "0001"


def test_progress_arrives_and_a_lost_trial_is_told(
    chief: RunningChief, remote: RemoteScheduler
) -> None:
    job = job_of(remote)
    assert remote.beat("a", job.id, Progress(epoch=2, score=SCORE))
    until(lambda: chief.scheduler.running[job.id] == ("a", Progress(epoch=2, score=SCORE)))
    chief.scheduler.release("a")
    until(lambda: not remote.beat("a", job.id, Progress(epoch=3)))
    assert job_of(remote) == job
    assert remote.beat("a", job.id, Progress(epoch=4))


def test_a_worker_that_leaves_gives_its_trial_back(
    chief: RunningChief, remote: RemoteScheduler
) -> None:
    job = job_of(remote)
    remote.release("a")
    assert job_of(remote, "b") == job


def test_paths_of_the_worker_replace_those_of_the_chief(chief: RunningChief) -> None:
    job = dataclasses.replace(chief.scheduler._job("0003"), continues="/of/chief/trial_0001")
    assert Paths().localized(job) == job
    here = Paths(data="mine.csv", folder="/here").localized(job)
    assert (here.data, here.folder) == ("mine.csv", "/here/trial_0003")
    assert here.continues == "/here/trial_0001"
    assert Paths(folder="/here").localized(chief.scheduler._job("0003")).continues is None


def test_a_chief_that_is_not_there_is_named_after_the_patience(chief: RunningChief) -> None:
    chief.stop()
    began = time.monotonic()
    with pytest.raises(UserError, match=rf"^chief {chief.address}: no answer within 0\.6 s"):
        connect(chief, 0.6).introduce()
    assert 0.5 < time.monotonic() - began < 4.0
    assert f"chief {chief.address} does not answer; waiting for it" in chief.said


def test_other_versions_are_refused(chief: RunningChief, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol.versions.cache_clear()
    monkeypatch.setattr(protocol.metadata, "version", {"tensorflow": "1.0", "keras": "2.0"}.get)
    try:
        with pytest.raises(UserError, match=r"has tensorflow 2\.\S+, this worker 1\.0"):
            connect(chief).introduce()
    finally:
        protocol.versions.cache_clear()


@pytest.mark.parametrize(
    "request_bytes", [b"", b"\xff", b"[]", b"{}", b'{"worker": "a", "turn": "1", "more": 1}']
)
def test_a_request_that_makes_no_sense_is_refused_and_nothing_else_happens(
    chief: RunningChief, request_bytes: bytes
) -> None:
    with grpc.insecure_channel(chief.address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Next")
        with pytest.raises(grpc.RpcError) as refused:
            call(request_bytes, timeout=5)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert chief.scheduler.running == {}
    assert not chief.ends_within(0.2)


def test_a_report_that_cannot_be_read_is_refused(
    chief: RunningChief, remote: RemoteScheduler
) -> None:
    job = job_of(remote)
    with pytest.raises(UserError, match="outcome cannot be read"):
        connect(chief).ask("Report", worker="a", trial=job.id, outcome='{"state": "DONE"}')
    assert job_of(remote) == job


def test_a_full_disk_ends_the_chief_and_its_worker_keeps_the_result(
    chief: RunningChief, remote: RemoteScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(remote)
    end, attempts = ToyScheduler.end, []

    def full_at_first(self: ToyScheduler, worker: str, trial: str, outcome: Outcome) -> None:
        attempts.append(outcome)
        if len(attempts) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "oracle.json")
        end(self, worker, trial, outcome)

    monkeypatch.setattr(ToyScheduler, "end", full_at_first)
    remote.end("a", job.id, Outcome("COMPLETED", score=0.5))
    assert chief.ends_within(5)
    assert isinstance(chief.failure, OSError)
    assert chief.failure.errno == errno.ENOSPC
    assert chief.scheduler.outcome(job.id).score == 0.5


def test_a_port_that_is_taken_is_refused(chief: RunningChief) -> None:
    with pytest.raises(UserError, match=f"^--listen {chief.address}: cannot listen there"):
        Chief(chief.scheduler, chief.address)


def test_the_chief_waits_for_a_worker_that_has_not_been_told(
    start_chief: StartChief,
) -> None:
    chief = start_chief(trials=1, lease_seconds=1.2)
    remote = RemoteScheduler(connect(chief), Paths())
    remote.end("a", job_of(remote).id, Outcome("COMPLETED", score=0.5))
    assert not chief.ends_within(0.6)
    assert remote.next("a") is None
    assert chief.ends_within(0.6)
    remote.close()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8400", "127.0.0.1", 8400), ("node-1.x:1", "node-1.x", 1), ("[::1]:80", "::1", 80)],
)
def test_addresses_are_read_and_written(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:x", "::1:80", "host:65536"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="give"):
        Address.parse(text)


def test_a_chief_that_listens_everywhere_is_reached_by_this_machine_and_others() -> None:
    for everywhere, here in (("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80")):
        assert str(Address.parse(everywhere).from_here()) == here
        assert Address.parse(everywhere).from_elsewhere() == Address(socket.gethostname(), 80)
    assert str(Address.parse("10.0.0.1:80").from_elsewhere()) == "10.0.0.1:80"


def tasks_of(chief: RunningChief) -> tuple[RemoteScheduler, FollowingScheduler]:
    return (
        RemoteScheduler(connect(chief), Paths(), tasks=2),
        FollowingScheduler(connect(chief), Paths(), task=1),
    )


class Asked:
    """A trial that is asked for in a thread, since it may have to be waited for."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._answers: queue.Queue[Job | Wait | None] = queue.Queue()
        ask = threading.Thread(target=lambda: self._answers.put(scheduler.next("a")), daemon=True)
        ask.start()

    def answer(self) -> Job | Wait | None:
        return self._answers.get(timeout=5)

    def is_waiting(self) -> bool:
        time.sleep(0.5)
        return self._answers.empty()


def joined(scheduler: FollowingScheduler) -> Job:
    def job() -> Job | None:
        given = scheduler.next("a")
        return given if isinstance(given, Job) else None

    return until(job, 5)


def test_no_task_begins_before_the_others_have_left_the_last_trial(chief: RunningChief) -> None:
    first, second = tasks_of(chief)
    assert isinstance(second.next("a"), Wait)
    asked = Asked(first)
    assert asked.is_waiting()
    job = joined(second)
    assert asked.answer() == job
    # The first one fails and takes the next trial, while the second is still at this one.
    first.end("a", job.id, Outcome("FAILED", reason="out of memory"))
    assert not second.beat("a", job.id, Progress())
    asked = Asked(first)
    assert asked.is_waiting()
    later = joined(second)
    assert asked.answer() == later
    assert later.id == "0001"
    assert second.beat("a", later.id, Progress())
    # Completed here, and not reported yet: there is nothing to do again.
    second.end("a", later.id, Outcome("COMPLETED"))
    assert isinstance(second.next("a"), Wait)
    first.end("a", later.id, Outcome("COMPLETED", score=0.5))
    assert first.next("a") is None
    assert not chief.ends_within(0.6)
    assert second.next("a") is None
    assert chief.ends_within(1.0)


def test_a_task_that_begins_again_is_joined_again(chief: RunningChief) -> None:
    first, second = tasks_of(chief)
    asked = Asked(first)
    job = joined(second)
    assert asked.answer() == job
    again = Asked(first)
    until(lambda: not second.beat("a", job.id, Progress()))
    assert again.is_waiting()
    assert joined(second) == job
    assert again.answer() == job
    # The second one is killed, comes back and finds the same.
    third = tasks_of(chief)[1]
    assert joined(third) == job


def test_a_chief_started_anew_learns_what_the_tasks_are_at(
    chief: RunningChief, start_chief: StartChief, tmp_path: Path
) -> None:
    first, second = tasks_of(chief)
    asked = Asked(first)
    job = joined(second)
    assert asked.answer() == job
    chief.stop()
    assert second.beat("a", job.id, Progress())
    assert first.beat("a", job.id, Progress())
    start_chief(trials=2, listen=chief.address)
    restarted = tasks_of(chief)[1]
    assert second.beat("a", job.id, Progress())
    assert isinstance(restarted.next("a"), Wait)
    first.beat("a", job.id, Progress(epoch=1))
    assert joined(restarted) == job
    assert second.beat("a", job.id, Progress())


@pytest.mark.parametrize(
    ("config", "task"),
    [
        ("", Task(0, 1)),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}, (1, 2)),
        (
            {
                "cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]},
                "task": {"type": "worker", "index": 0},
            },
            (1, 3),
        ),
    ],
)
def test_the_environment_says_which_task_this_is(
    config: object, task: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(config) if config else "")
    found = Task.from_environment()
    assert found == task or (found.index, found.count) == task


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"cluster": {"worker": ["a"]}, "task": {"type": "ps", "index": 0}}']
)
def test_a_malformed_cluster_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r"^TF_CONFIG: "):
        Task.from_environment()
