"""Stopped, killed and promoted, a trial goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from waiting import LIMIT, until

from tuning.trials import attempt
from tuning.trials.executor import Executor
from tuning.trials.folder import OccupiedError, TrialFolder
from tuning.trials.job import Job, Outcome, Progress

Jobs = Callable[..., Job]

ROOT = Path(__file__).parents[3]


def always(progress: Progress) -> bool:
    return True


def log(folder: Path) -> str:
    return (folder / "trial.log").read_text()


@pytest.fixture(autouse=True)
def watched_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "_WATCH_SECONDS", 0.1)


@pytest.fixture(scope="module")
def reference(executor: Executor, job: Jobs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trial of three epochs that nothing came between."""
    folder = tmp_path_factory.mktemp("reference") / "trial_0000"
    assert executor.run(job(folder), always).status == "COMPLETED"
    return folder


def assert_same_training(folder: Path, reference: Path) -> None:
    """Equal to the last bit: last state with the optimiser's, best weights, score and metrics."""
    states = sorted(file.name for file in (reference / "run" / "checkpoints").iterdir())
    assert sorted(file.name for file in (folder / "run" / "checkpoints").iterdir()) == states
    for name in states:
        one, other = (np.load(f / "run" / "checkpoints" / name) for f in (folder, reference))
        assert set(one.files) == set(other.files)
        for variable in set(one.files) - {"position"}:
            np.testing.assert_array_equal(one[variable], other[variable])
    ours, theirs = (
        Outcome.from_json((f / "result.json").read_bytes()) for f in (folder, reference)
    )
    assert (ours.score, ours.metrics, ours.epochs) == (theirs.score, theirs.metrics, theirs.epochs)


def test_killed_it_goes_on_from_its_checkpoint(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    settings = {"fault": "killed once", "flag": str(tmp_path / "killed")}
    outcome = executor.run(job(tmp_path / "a", settings), always)
    assert outcome.status == "COMPLETED"
    assert "killed by signal 9 (SIGKILL); once more" in log(tmp_path / "a")
    assert log(tmp_path / "a").count("epoch 1: loss") == 1
    assert_same_training(tmp_path / "a", reference)


def test_promoted_it_goes_on_where_the_other_trial_stopped(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    first = executor.run(job(tmp_path / "a", epochs=1), always)
    assert (first.status, first.epochs) == ("COMPLETED", 1)
    promoted = job(tmp_path / "b", continues=str(tmp_path / "a"))
    outcome = executor.run(promoted, always)
    assert f"goes on with the training in {tmp_path / 'a' / 'run'}" in log(tmp_path / "b")
    assert "epoch 1: loss" not in log(tmp_path / "b")
    assert_same_training(tmp_path / "b", reference)
    # Its seconds are its own, without those that it was spared.
    taken = json.loads((tmp_path / "b" / "inherited.json").read_text())["seconds"]
    assert taken > 0
    assert outcome.seconds < TrialFolder(tmp_path / "b").trained_seconds

    nothing = job(tmp_path / "c", epochs=1, continues=str(tmp_path / "nowhere"))
    assert executor.run(nothing, always).score == first.score
    assert "holds no checkpoint to go on from; training starts from the start" in log(
        tmp_path / "c"
    )


def test_stopped_it_is_taken_up_again(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    trial = job(tmp_path, {"fault": "waits"})
    outcome = executor.run(trial, lambda progress: progress.epoch < 1)
    assert (outcome.status, outcome.score, outcome.epochs) == ("INTERRUPTED", None, 1)
    assert not (tmp_path / "result.json").exists()

    # Ctrl-C, as it reaches the one who watches.
    def press(progress: Progress) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run(trial, press)
    finished = executor.run(trial, always)
    assert "attempt 3" in log(tmp_path)
    assert "Traceback" not in log(tmp_path)
    assert finished.seconds > outcome.seconds > 0
    assert_same_training(tmp_path, reference)


def test_a_second_ctrl_c_does_not_wait(
    executor: Executor, job: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_STOP_SECONDS", 10 * LIMIT)

    def press_again() -> None:
        until(lambda: "heard" in log(tmp_path))
        os.kill(os.getpid(), signal.SIGINT)

    second = threading.Thread(target=press_again)

    def press(progress: Progress) -> bool:
        if (tmp_path / "trial.log").exists() and "deaf" in log(tmp_path).splitlines():
            second.start()
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        executor.run(job(tmp_path, {"fault": "deaf"}), press)
    second.join()


def test_a_damaged_checkpoint_costs_the_training_not_the_trial(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    trial = job(tmp_path / "trial_0000")
    shutil.copytree(reference, trial.folder)
    last = Path(trial.folder) / "run" / "checkpoints" / "last.npz"
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size // 2)
    (Path(trial.folder) / "result.json").write_text("{")
    assert executor.run(trial, always).status == "COMPLETED"
    assert "last.npz: cannot be read" in log(Path(trial.folder))
    assert "training starts from the start" in log(Path(trial.folder))
    assert_same_training(Path(trial.folder), reference)


def test_what_is_known_of_its_attempts_may_be_lost(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    trial = job(tmp_path / "trial_0000")
    shutil.copytree(reference, trial.folder)
    (Path(trial.folder) / "attempts.json").write_text('{"job": ')
    assert executor.run(trial, always).status == "COMPLETED"
    assert log(Path(trial.folder)).count("epoch 1: loss") == 1
    assert_same_training(Path(trial.folder), reference)


def test_without_its_fork_server_it_gets_another_one(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_once(progress: Progress) -> bool:
        if progress.epoch and not killed:
            # This process may have other children: a browser, or servers of other tests.
            assert executor._fork_server is not None
            killed.append(executor._fork_server.pid)
            os.kill(killed[0], signal.SIGKILL)
        return True

    outcome = executor.run(job(tmp_path, {"fault": "waits"}), kill_once)
    assert outcome.status == "COMPLETED"
    assert killed
    assert "the process that starts trials ended (-9); once more" in log(tmp_path)
    assert_same_training(tmp_path, reference)


def test_with_its_parent_killed_all_end_and_the_trial_goes_on(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    trial = job(tmp_path / "a", {"fault": "waits"})
    parent = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("run_job.py")), trial.to_json()],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
    )
    # Meanwhile another executor is at work beside it.
    assert executor.run(job(tmp_path / "b"), always).status == "COMPLETED"
    file = tmp_path / "a" / "trial.log"
    until(lambda: parent.poll() or (file.exists() and "epoch 1: loss" in file.read_text()))
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=LIMIT)
    assert alive == []
    assert executor.run(trial, always).status == "COMPLETED"
    assert log(tmp_path / "a").count("epoch 1: loss") == 1
    assert_same_training(tmp_path / "a", reference)
    assert_same_training(tmp_path / "b", reference)


def test_without_anyone_who_listens_it_ends_and_has_not_failed() -> None:
    code = (
        "import os\nfrom tuning.trials.fork_server import tell\n"
        "reader, writer = os.pipe()\nos.close(reader)\n"
        "try:\n    tell(writer, {'started': 1})\nfinally:\n    print('a reason to fail')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr


def test_only_one_process_trains_in_a_folder(
    executor: Executor, job: Jobs, reference: Path, tmp_path: Path
) -> None:
    with (
        TrialFolder(tmp_path).locked(0),
        pytest.raises(OccupiedError, match="another process trains there"),
        TrialFolder(tmp_path).locked(0.2),
    ):
        pass
    # An orphan that is about to end is waited for.
    trial = job(tmp_path)
    orphan = TrialFolder(tmp_path).locked(0)
    orphan.__enter__()
    waited: list[Progress] = []

    def end_the_orphan(progress: Progress) -> bool:
        waited.append(progress)
        if len(waited) == 5:
            assert not (tmp_path / "run").exists()
            orphan.__exit__(None, None, None)
        return True

    assert executor.run(trial, end_the_orphan).status == "COMPLETED"
    assert len(waited) >= 5
    assert_same_training(tmp_path, reference)
