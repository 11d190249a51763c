"""The worker's loop, between a scheduler and an executor that only play."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuning.scheduler import Wait
from tuning.trials.job import Job, Outcome, Progress
from tuning.trials.worker import work

Jobs = Callable[..., Job]
DONE = Outcome("COMPLETED", score=0.875, epochs=3, seconds=12.0)


class PlayedScheduler:
    """Hands out what it was given, and writes down what it is told."""

    def __init__(self, tasks: list[Any], *, yours: bool = True) -> None:
        self._tasks, self._yours = tasks, yours
        self.told: list[tuple[Any, ...]] = []

    def next(self, worker: str) -> Any:
        return self._tasks.pop(0) if self._tasks else None

    def beat(self, worker: str, trial: str, progress: Progress) -> bool:
        self.told.append(("beat", worker, trial, progress.epoch))
        return self._yours

    def end(self, worker: str, trial: str, outcome: Outcome) -> None:
        self.told.append(("end", worker, trial, outcome.status))

    def release(self, worker: str) -> None:
        self.told.append(("release", worker))


class PlayedExecutor:
    """Gives the outcomes that it was given, or raises them; stops where the watch says so."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = list(outcomes)
        self.ran: list[str] = []

    def run(self, job: Job, watch: Callable[[Progress], bool]) -> Outcome:
        self.ran.append(job.id)
        if not watch(Progress(epoch=1)):
            return Outcome("INTERRUPTED", "interrupted")
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.fixture
def first(job: Jobs, tmp_path: Path) -> Job:
    return job(tmp_path / "trial_0001")


@pytest.fixture
def second(job: Jobs, tmp_path: Path) -> Job:
    return job(tmp_path / "trial_0002")


def run(scheduler: Any, executor: Any) -> list[str]:
    said: list[str] = []
    work(scheduler, executor, "w1", said.append)
    return said


def test_runs_and_reports_until_the_search_is_over(first: Job, second: Job) -> None:
    scheduler = PlayedScheduler([first, Wait(0.01), second])
    executor = PlayedExecutor(DONE, Outcome("FAILED", "RuntimeError: no such layer"))
    said = run(scheduler, executor)
    assert executor.ran == ["0001", "0002"]
    assert scheduler.told == [
        ("beat", "w1", "0001", 1),
        ("end", "w1", "0001", "COMPLETED"),
        ("beat", "w1", "0002", 1),
        ("end", "w1", "0002", "FAILED"),
    ]
    assert said == [
        "trial 0001: accuracy 0.8750 after 3 epochs, 12 s",
        "trial 0002: FAILED: RuntimeError: no such layer",
    ]


def test_drops_a_trial_that_is_another_ones_by_now(first: Job) -> None:
    scheduler = PlayedScheduler([first], yours=False)
    run(scheduler, PlayedExecutor())
    assert scheduler.told == [("beat", "w1", "0001", 1)]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left", "a")])
def test_gives_its_trial_back_when_it_has_to_go(first: Job, error: BaseException) -> None:
    scheduler = PlayedScheduler([first])
    with pytest.raises(type(error)):
        run(scheduler, PlayedExecutor(error))
    assert scheduler.told[-1] == ("release", "w1")


def test_an_error_shows_also_where_the_scheduler_is_gone(first: Job) -> None:
    class Gone(PlayedScheduler):
        def release(self, worker: str) -> None:
            raise ConnectionError("nobody there")

    with pytest.raises(KeyboardInterrupt):
        run(Gone([first]), PlayedExecutor(KeyboardInterrupt()))
