"""A trial is one worker's at a time, and comes back from workers that are gone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from invented import Search, outcome
from waiting import LIMIT

from tuning.scheduler import Wait
from tuning.trials.job import Job, Progress

Begin = Callable[..., Search]


def test_a_worker_that_comes_back_gets_its_own_trial(begin: Begin) -> None:
    search = begin()
    first, second = search.ask("a"), search.ask("b")
    assert first.id != second.id
    assert search.ask("a").id == first.id
    assert search.reopened(keep_ongoing=True).ask("b").id == second.id


def test_trials_of_silent_workers_are_handed_out_again_and_their_late_ends_ignored(
    begin: Begin,
) -> None:
    search = begin()
    lost, kept = search.ask("silent"), search.ask("alive")
    assert search.scheduler.expire(1000.0) == []
    search.scheduler._heard["silent"] -= 100.0
    assert search.scheduler.expire(60.0) == [lost.id]
    assert search.ask("third").id == lost.id
    assert not search.scheduler.beat("silent", lost.id, Progress())
    search.scheduler.end("silent", lost.id, outcome(lost, score=0.123))
    assert search.oracle.rows[lost.id].status == "RUNNING"
    search.scheduler.end("third", lost.id, outcome(lost, score=0.456))
    search.scheduler.end("third", lost.id, outcome(lost, score=0.789))
    assert search.oracle.rows[lost.id].score == 0.456
    assert search.scheduler.beat("alive", kept.id, Progress(epoch=1))
    assert search.scheduler.running == {kept.id: ("alive", Progress(epoch=1))}


def test_a_released_trial_is_the_next_one(begin: Begin) -> None:
    search = begin()
    job = search.ask("a")
    search.scheduler.release("a")
    assert search.ask("b").id == job.id
    assert list(search.scheduler.workers) == ["b"]


def test_workers_wait_for_the_last_trials_before_the_finals(begin: Begin) -> None:
    search = begin(trials=2, finalists=1, seeds=1)
    one, two = search.ask("a"), search.ask("b")
    search.scheduler.end("a", one.id, outcome(one))
    assert isinstance(search.scheduler.next("a"), Wait)
    search.scheduler.end("b", two.id, outcome(two))
    assert search.ask("a").id.startswith("final-")


def test_many_threads_run_every_trial_once(begin: Begin) -> None:
    search = begin("hyperband", trials=40, finalists=2, seeds=2)
    ran: list[str] = []

    def work(name: str) -> None:
        while (job := search.scheduler.next(name)) is not None:
            if isinstance(job, Job):
                ran.append(job.id)
                search.scheduler.beat(name, job.id, Progress())
                search.scheduler.end(name, job.id, outcome(job))

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=LIMIT)
    assert set(Counter(ran).values()) == {1}
    assert set(ran) == set(search.oracle.rows)
    assert search.scheduler.finished
    assert search.scheduler.workers == {}
