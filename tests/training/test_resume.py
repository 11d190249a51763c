"""Killed, interrupted and resumed, a training gives what it gives in one go."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed import MOMENTS

import apps
from apps.training.run import Run

ROOT = Path(apps.__file__).parents[1]
SEED = 11
Rows = list[dict[str, str]]


def start(arguments: list[str], **keywords: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        text=True,
        **keywords,
    )


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, reviews: Rows, small: dict[str, Any]
) -> Run:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    return apps.train("sentiment", reviews, run=folder, seed=SEED, log=lambda line: None, **small)


def history(run: Run) -> list[dict[str, str]]:
    with run.files.history.open() as lines:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(lines)
        ]


def predictions(run: Run) -> list[dict[str, Any]]:
    with run.files.predictions.open() as lines:
        rows = [json.loads(line) for line in lines]
    return [{name: value for name, value in row.items() if name != "place"} for row in rows]


def assert_same_run(run: Run, reference: Run) -> None:
    """Equal to the last bit: best weights, last state, history, measurements, predictions."""
    for ours, theirs in zip(run.model.weights, reference.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    states = sorted(file.name for file in reference.files.checkpoints.iterdir())
    assert sorted(file.name for file in run.files.checkpoints.iterdir()) == states
    for name in states:
        one, other = (r.files.read_arrays(r.files.checkpoints / name) for r in (run, reference))
        assert set(one) == set(other)
        for variable in one.keys() - {"position"}:
            np.testing.assert_array_equal(one[variable], other[variable])
    assert history(run) == history(reference)
    for part in ("examples", "metrics", "interval", "baselines", "best", "stopped"):
        assert run.metrics[part] == reference.metrics[part]
    assert predictions(run) == predictions(reference)


def test_killed_at_every_turn_it_ends_where_it_would_have(
    uninterrupted: Run, reviews: Rows, small: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (tmp_path / "rows.json").write_text(json.dumps(reviews))
    (tmp_path / "settings.json").write_text(json.dumps({"seed": SEED, **small}))
    for moment in MOMENTS:
        child = start(
            [
                str(Path(__file__).with_name("killed.py")),
                *(moment, str(run)),
                *(str(tmp_path / "rows.json"), str(tmp_path / "settings.json")),
            ],
            stderr=subprocess.PIPE,
        )
        _, said = child.communicate(timeout=200)
        assert child.returncode == -signal.SIGKILL, (moment, said)
    said_lines: list[str] = []
    finished = apps.train(
        "sentiment", reviews, run=run, resume=True, seed=SEED, log=said_lines.append, **small
    )
    assert_same_run(finished, uninterrupted)
    assert finished.files.report.is_file()
    assert any("finished already" in line for line in said_lines)
    assert list(run.rglob(".*")) == []


def test_interrupted_from_the_keyboard_it_says_how_to_go_on(
    uninterrupted: Run,
    reviews: Rows,
    small: dict[str, Any],
    table: Callable[..., Path],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    options = [part for key, value in small.items() for part in ("--set", f"{key}={value}")]
    arguments = ["train", "sentiment", "--data", str(table(reviews)), "--run", str(run)]
    with (tmp_path / "said.txt").open("w+") as said:
        child = start(["-m", "apps", *arguments, "--seed", str(SEED), *options], stderr=said)
        while child.poll() is None and "epoch 1/" not in (tmp_path / "said.txt").read_text():
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=200) == 130
    lines = (tmp_path / "said.txt").read_text().splitlines()
    assert lines[-1].endswith(f"--run {run} --resume")
    assert "Traceback" not in "".join(lines)
    assert (run / "checkpoints" / "last.npz").is_file()
    with pytest.raises(apps.UserError, match="has not finished"):
        apps.load(run)

    for change, words in (
        ({"seed": 12}, "seed 11"),
        ({"units": 9}, "units=8, not 9"),
        ({"data": reviews[:-1]}, "other data"),
    ):
        given = {"data": table(reviews), "seed": SEED, **small, **change}
        with pytest.raises(apps.UserError, match=f"started with {words}"):
            apps.train("sentiment", run=run, resume=True, log=lambda line: None, **given)

    finished = apps.train(
        "sentiment",
        table(reviews),
        run=run,
        resume=True,
        seed=SEED,
        log=lambda line: None,
        **small,
    )
    assert_same_run(finished, uninterrupted)
