"""Several devices and several processes train as one does, and end when one of them is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from several import SETTINGS

import apps
from apps.errors import UserError
from apps.training.distribution import distribute
from apps.training.plan import Plan
from apps.training.run_folder import RunFolder
from apps.training.session import Session

ROOT = Path(apps.__file__).parents[1]
SCRIPT = Path(__file__).with_name("several.py")
# After which a process hangs: nothing here takes as long, on however busy a machine.
HANGS_SECONDS = 900
Rows = list[dict[str, str]]


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(
    run: Path, rows: Path, temporary: Path, step: int | None = None
) -> list[subprocess.Popen[str]]:
    """Two processes that train one run; the second one is killed after a step."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("localhost", 0))
        hosts = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    places = [
        json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]
    last = [] if step is None else [step]
    return [
        start("multiworker", run, rows, TF_CONFIG=places[0], TMPDIR=str(temporary)),
        start("multiworker", run, rows, *last, TF_CONFIG=places[1], TMPDIR=str(temporary)),
    ]


def assert_close(one: Path, other: Path) -> None:
    """Equal weights, optimiser state and scores, up to the order of sums."""
    states = [
        RunFolder(path).read_arrays(path / "checkpoints" / "last.npz") for path in (one, other)
    ]
    assert states[0].keys() == states[1].keys()
    positions = [json.loads(state.pop("position").tobytes()) for state in states]
    for name, array in states[0].items():
        np.testing.assert_allclose(array, states[1][name], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(*(position["history"] for position in positions), strict=True):
        for name in ours.keys() - {"seconds"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-5), name


def test_two_devices_train_as_one_and_take_over_from_one_another(tmp_path: Path) -> None:
    child = start("mirrored", tmp_path)
    _, said = child.communicate(timeout=HANGS_SECONDS)
    assert child.returncode == 0, said
    for name in ("together", "first alone", "first together"):
        assert_close(tmp_path / name, tmp_path / "alone")
    assert_close(tmp_path / "paced together", tmp_path / "paced alone")


def test_two_processes_train_as_one_and_survive_the_loss_of_one(
    reviews: Rows, tmp_path: Path
) -> None:
    rows, run = tmp_path / "rows.json", tmp_path / "run"
    rows.write_text(json.dumps(reviews[:60]))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    steps = 4
    first, second = start_two(run, rows, temporary, step=steps + 1)
    _, said = first.communicate(timeout=HANGS_SECONDS)
    second.communicate(timeout=HANGS_SECONDS)
    assert second.returncode == -signal.SIGKILL
    assert first.returncode == 1
    last = said.splitlines()[-1]
    assert last == (
        "error: another process of this training is gone; start all of them again with --resume"
    )
    assert (run / "checkpoints" / "last.npz").is_file()
    assert not (run / "metrics.json").exists()

    plan = Plan("sentiment", reviews[:60], settings=SETTINGS)
    alone = Session(plan, run=tmp_path / "alone", log=print)
    assert alone.fit().total == 3 * steps
    # Only a process that is killed leaves its own folder behind.
    (left,) = temporary.glob("run-*")
    shutil.rmtree(left)
    both = start_two(run, rows, temporary)
    for process in both:
        _, said = process.communicate(timeout=HANGS_SECONDS)
        assert process.returncode == 0, said
    assert_close(run, tmp_path / "alone")
    surroundings = json.loads((run / "environment.json").read_text())
    assert (surroundings["strategy"], surroundings["devices"]) == ("multiworker", 2)
    assert apps.load(run).metrics["stopped"] == "epochs"
    assert list(temporary.glob("run-*")) == []


def test_one_device_trains_alone_and_says_so() -> None:
    said: list[str] = []
    assert distribute("mirrored", said.append).replicas == 1
    assert said == ["strategy mirrored: one device only (CPU); it trains alone"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "TF_CONFIG is not set; give every process its place"),
        ("{", "does not name a cluster and a place"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "a place"),
    ],
)
def test_processes_without_a_place_are_told(
    given: str | None, words: str, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if given:
        monkeypatch.setenv("TF_CONFIG", given)
    assert words in refused("train", "sentiment", "--strategy", "multiworker")


def test_an_unknown_strategy_is_refused(refused: Callable[..., str]) -> None:
    said = refused("train", "sentiment", "--strategy", "mirror")
    assert "choose one of mirrored, multiworker" in said


def test_processes_cannot_join_once_tensorflow_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    place = {"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(place))
    tf.constant(1).numpy()
    with pytest.raises(UserError, match="in use in this process already"):
        distribute("multiworker", print)
