"""What a chief and a worker say to each other, and what they make of trouble."""

from __future__ import annotations

import dataclasses
import errno
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from toy_processes import RunningChief
from toy_search import SCORE, ToyScheduler
from waiting import LIMIT, until

from apps.errors import UserError
from tuning.distributed import chief as chief_module
from tuning.distributed import protocol
from tuning.distributed import remote as remote_module
from tuning.distributed.address import Address
from tuning.distributed.chief import Chief
from tuning.distributed.connection import Connection
from tuning.distributed.following import FollowingScheduler
from tuning.distributed.paths import Paths
from tuning.distributed.protocol import SERVICE
from tuning.distributed.remote import RemoteScheduler
from tuning.scheduler import Scheduler, Wait
from tuning.trials.job import Job, Outcome, Progress

StartChief = Callable[..., RunningChief]


def connect(chief: RunningChief, patience_seconds: float = LIMIT) -> Connection:
    return Connection(chief.address, patience_seconds, chief.said.append)


@pytest.fixture(autouse=True)
def asks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "_GATHER_S", 0.02)


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
    with pytest.raises(UserError, match=rf"^chief {chief.address}: no answer within 0\.6 s"):
        connect(chief, 0.6).introduce()
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
            call(request_bytes, timeout=LIMIT)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert chief.scheduler.running == {}
    assert chief.goes_on()


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
    assert chief.ends()
    assert isinstance(chief.failure, OSError)
    assert chief.failure.errno == errno.ENOSPC
    assert chief.scheduler.outcome(job.id).score == 0.5


def test_a_chief_that_was_stopped_does_not_take_its_own_silence_for_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, looked = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        now[0] += 100.0 if 70.0 <= now[0] < 100.0 else seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(chief_module, "time", clock)
    monkeypatch.setattr(chief_module, "serve_keras_tuner", lambda *given: None)

    class Watched(ToyScheduler):
        def expire(self, older_than_seconds: float) -> list[str]:
            looked.append(now[0])
            return []

    def tick() -> None:
        if now[0] > 300.0:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        Chief(Watched(tmp_path), lease_seconds=60.0).wait(tick)
    assert min(looked) == 60.0
    assert max(when for when in looked if when < 100.0) == 70.0
    assert min(when for when in looked if when > 100.0) == 230.0


def test_a_port_that_is_taken_is_refused(chief: RunningChief) -> None:
    with pytest.raises(UserError, match=f"^--listen {chief.address}: cannot listen there"):
        Chief(chief.scheduler, chief.address)


def test_the_chief_waits_for_a_worker_that_has_not_been_told(
    start_chief: StartChief,
) -> None:
    chief = start_chief(trials=1)
    remote = RemoteScheduler(connect(chief), Paths())
    remote.end("a", job_of(remote).id, Outcome("COMPLETED", score=0.5))
    assert chief.goes_on()
    assert remote.next("a") is None
    assert chief.ends()
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

    def __init__(self, scheduler: Scheduler, chief: RunningChief) -> None:
        self._chief = chief
        self._answers: queue.Queue[Job | Wait | None] = queue.Queue()
        ask = threading.Thread(target=lambda: self._answers.put(scheduler.next("a")), daemon=True)
        ask.start()

    def answer(self) -> Job | Wait | None:
        return self._answers.get(timeout=LIMIT)

    def is_waiting(self) -> bool:
        """Whether it has asked again after an answer that did not let it begin."""
        enough = self._chief.scheduler.beats + 2
        until(lambda: self._chief.scheduler.beats >= enough or not self._answers.empty())
        return self._answers.empty()


def joined(scheduler: FollowingScheduler) -> Job:
    def job() -> Job | None:
        given = scheduler.next("a")
        return given if isinstance(given, Job) else None

    return until(job)


def test_no_task_begins_before_the_others_have_left_the_last_trial(chief: RunningChief) -> None:
    first, second = tasks_of(chief)
    assert isinstance(second.next("a"), Wait)
    asked = Asked(first, chief)
    assert asked.is_waiting()
    job = joined(second)
    assert asked.answer() == job
    # The first one fails and takes the next trial, while the second is still at this one.
    first.end("a", job.id, Outcome("FAILED", reason="out of memory"))
    assert not second.beat("a", job.id, Progress())
    asked = Asked(first, chief)
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
    assert chief.goes_on()
    assert second.next("a") is None
    assert chief.ends()


def test_a_task_that_begins_again_is_joined_again(chief: RunningChief) -> None:
    first, second = tasks_of(chief)
    asked = Asked(first, chief)
    job = joined(second)
    assert asked.answer() == job
    again = Asked(first, chief)
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
    asked = Asked(first, chief)
    job = joined(second)
    assert asked.answer() == job
    chief.stop()
    assert second.beat("a", job.id, Progress())
    assert first.beat("a", job.id, Progress())
    start_chief(trials=2, listen=chief.address)
    restarted = tasks_of(chief)[1]
    assert second.beat("a", job.id, Progress())
    assert isinstance(restarted.next("a"), Wait)
    # A sign of life may be lost, and is not sent again: the next one follows soon.
    until(lambda: first.beat("a", job.id, Progress()) and second.beat("a", job.id, Progress()))
    until(lambda: first.beat("a", job.id, Progress()) and isinstance(restarted.next("a"), Job))
    assert joined(restarted) == job
    assert second.beat("a", job.id, Progress())
