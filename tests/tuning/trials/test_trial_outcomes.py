"""What becomes of trials that end by themselves, well or badly."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from apps.errors import UserError
from tuning.trials.executor import Executor
from tuning.trials.folder import TrialFolder, prune
from tuning.trials.job import Job, Outcome, Progress

Jobs = Callable[..., Job]


def always(progress: Progress) -> bool:
    return True


def log(folder: Path) -> str:
    return (folder / "trial.log").read_text()


def test_a_trial_that_ends_well_leaves_what_it_found(
    executor: Executor, job: Jobs, tmp_path: Path
) -> None:
    folder = tmp_path / "trial_0007"
    seen: list[Progress] = []

    def see(progress: Progress) -> bool:
        seen.append(progress)
        return True

    outcome = executor.run(job(folder), see)
    assert (outcome.status, outcome.reason, outcome.epochs, outcome.accumulation_steps) == (
        "COMPLETED",
        "",
        3,
        1,
    )
    assert outcome.score == outcome.metrics["accuracy"]
    assert {"f1", "cross_entropy"} < outcome.metrics.keys()
    assert outcome.cost.keys() == {"parameters", "latency_ms", "size_mb", "memory_mb"}
    assert outcome.cost["parameters"] == 4 * 4 + 2 * 4 * 2 + 2
    assert 0 < outcome.fit_seconds < outcome.seconds
    assert seen
    assert Outcome.from_json((folder / "result.json").read_bytes()) == outcome
    history = (folder / "run" / "history.csv").read_text().splitlines()
    scores = [float(line.split(",")[header_of("val_accuracy", history)]) for line in history[1:]]
    assert any(outcome.score == pytest.approx(score) for score in scores)
    assert "trial 0007, attempt 1, seed 5" in log(folder).splitlines()[0]
    assert "learning_rate=0.01" in log(folder).splitlines()[0]
    assert not (folder / ".scratch").exists()

    # Asked for again it is not run again, unless it is another trial by now.
    assert executor.run(job(folder), always) == outcome
    assert log(folder).count("attempt") == 1
    prune(folder)
    assert not (folder / "run" / "checkpoints").exists()
    assert executor.run(job(folder, {"fault": "raises"}), always).status == "FAILED"
    assert not (folder / "run").exists()


def header_of(column: str, history: list[str]) -> int:
    return history[0].split(",").index(column)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raises", "RuntimeError: no such layer"),
        ("leaves", "ended with exit code 3"),
        ("killed", "killed by signal 9 (SIGKILL)"),
        ("threads", "RuntimeError: 1 threads"),
        ("exhausted", "out of memory, at half the batch too: ResourceExhaustedError"),
        ("nan loss", "the loss is not finite at step 6"),
        ("inf loss", "the loss is not finite at step 6"),
        ("inf metric", "validation cross_entropy is inf at epoch 1"),
    ],
)
def test_a_trial_that_fails_says_why(
    executor: Executor, job: Jobs, tmp_path: Path, fault: str, reason: str
) -> None:
    outcome = executor.run(job(tmp_path, {"fault": fault}), always)
    assert outcome.status == "FAILED"
    assert outcome.score is None
    assert outcome.reason.startswith(reason)
    assert "\n" not in outcome.reason
    assert f"failed: {reason}" in log(tmp_path)
    if fault == "raises":
        assert 'raise RuntimeError("no such' in log(tmp_path)
    if fault in ("killed", "leaves"):
        assert "attempt 2" in log(tmp_path)
    assert Outcome.from_json((tmp_path / "result.json").read_bytes()) == outcome


def test_over_the_budget_it_is_not_trained(executor: Executor, job: Jobs, tmp_path: Path) -> None:
    budget = {"parameters": 1e3, "size_mb": 1.0}
    outcome = executor.run(job(tmp_path, {"units": 600}, budget=budget), always)
    assert outcome.status == "FAILED"
    assert outcome.reason == "over the budget: parameters 4,802 > 1,000"
    assert outcome.cost["size_mb"] == pytest.approx(4802 * 4 / 1e6)
    assert (outcome.epochs, outcome.fit_seconds) == (0, 0.0)
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_out_of_memory_it_is_tried_in_halves_and_then_given_up(
    executor: Executor, job: Jobs, tmp_path: Path
) -> None:
    helped = executor.run(job(tmp_path / "a", {"fault": "allocates for whole batches"}), always)
    assert (helped.status, helped.accumulation_steps, helped.epochs) == ("COMPLETED", 2, 3)
    assert helped.cost["memory_mb"] < 1500
    assert re.search(r"out of memory: \d,\d+ MB > 1,500 MB; once more", log(tmp_path / "a"))
    promoted = job(
        tmp_path / "b", {"fault": "allocates for whole batches"}, continues=str(tmp_path / "a")
    )
    assert executor.run(promoted, always).accumulation_steps == 2
    assert "attempt 2" not in log(tmp_path / "b")

    flag = tmp_path / "helper"
    outcome = executor.run(job(tmp_path / "c", {"fault": "allocates", "flag": str(flag)}), always)
    assert (outcome.status, outcome.accumulation_steps) == ("FAILED", 2)
    assert re.fullmatch(
        r"out of memory, at half the batch too: \d,\d+ MB > 1,500 MB", outcome.reason
    )
    assert outcome.cost["memory_mb"] > 1500
    helper = int(flag.read_text())
    assert not psutil.pid_exists(helper) or psutil.Process(helper).status() == "zombie"


def test_a_trial_that_hangs_is_ended_and_shows_where(
    executor: Executor, job: Jobs, tmp_path: Path
) -> None:
    outcome = executor.run(job(tmp_path, {"fault": "hangs"}, minutes=0.001), always)
    assert (outcome.status, outcome.reason) == ("FAILED", "no epoch within 0.001 minutes")
    assert "in _hang" in log(tmp_path)


def test_a_full_disk_stops_the_search_not_the_trial(
    executor: Executor, job: Jobs, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="No space left") as raised:
        executor.run(job(tmp_path / "a", {"fault": "disk"}), always)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, "last.npz")
    assert not (tmp_path / "a" / "result.json").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a small disk")
def test_on_a_disk_that_fills_up_with_checkpoints(
    executor: Executor, job: Jobs, tmp_path: Path
) -> None:
    large = {"units": 1000}
    with small_disk(tmp_path / "disk", kilobytes=88) as enlarge:
        with pytest.raises(OSError, match="No space left") as raised:
            executor.run(job(tmp_path / "disk" / "a", large), always)
        assert raised.value.errno == errno.ENOSPC
        assert str(raised.value.filename).startswith(str(tmp_path / "disk" / "a" / "run"))
        enlarge()
        outcome = executor.run(job(tmp_path / "disk" / "a", large), always)
        assert outcome.status == "COMPLETED"


@contextlib.contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Callable[[], None]]:
    """A file system of a few blocks; yields what makes it large enough."""
    place.mkdir()
    size = f"size={kilobytes}k"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip(f"no small disk here: {made.stderr.decode().strip()}")

    def enlarge() -> None:
        subprocess.run(["mount", "-o", "remount,size=10m", place], check=True)

    try:
        yield enlarge
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_trials_that_cannot_be_started_are_the_users_matter(job: Jobs, tmp_path: Path) -> None:
    with (
        Executor(preload=["clean_then_not"]) as runs,
        pytest.raises(UserError, match="clean_then_not: runs TensorFlow operations on import"),
    ):
        runs.run(job(tmp_path), always)


def test_figures_travel_whole(tmp_path: Path) -> None:
    outcome = Outcome("COMPLETED", score=0.1 + 0.2, metrics={"loss": math.pi})
    folder = TrialFolder(tmp_path)
    folder.write_outcome(outcome)
    assert folder.outcome() == outcome
    (tmp_path / "result.json").write_text('{"status": "COMPL')
    assert folder.outcome() is None
