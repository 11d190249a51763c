"""Killed, interrupted and resumed, a training gives what it gives in one go."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import apps
from apps.__main__ import main
from apps.training.distribution import Distribution
from apps.training.run import FinishedRun

ROOT = Path(apps.__file__).parents[1]
SEED = 5  # of the fixture's run
Rows = list[dict[str, str]]


def history(run: FinishedRun) -> list[dict[str, str]]:
    with run.files.history.open() as lines:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(lines)
        ]


def predictions(run: FinishedRun) -> list[dict[str, Any]]:
    with run.files.predictions.open() as lines:
        rows = [json.loads(line) for line in lines]
    return [{name: value for name, value in row.items() if name != "place"} for row in rows]


def assert_same_run(run: FinishedRun, reference: FinishedRun) -> None:
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
    run_of_reviews: Path, reviews: Rows, small: dict[str, Any], tmp_path: Path
) -> None:
    run, rows, settings = tmp_path / "run", tmp_path / "rows.json", tmp_path / "settings.json"
    rows.write_text(json.dumps(reviews))
    settings.write_text(json.dumps({"seed": SEED, **small}))
    script = Path(__file__).with_name("killed.py")
    child = subprocess.run(
        [sys.executable, *map(str, (script, run, rows, settings))],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    said: list[str] = []
    finished = apps.train(
        "sentiment", reviews, run=run, resume=True, seed=SEED, log=said.append, **small
    )
    assert_same_run(finished, FinishedRun(run_of_reviews))
    assert finished.files.report.is_file()
    assert any("finished already" in line for line in said)
    assert list(run.rglob(".*")) == []


def test_interrupted_from_the_keyboard_it_says_how_to_go_on(
    run_of_reviews: Path,
    reviews: Rows,
    small: dict[str, Any],
    table: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, steps = tmp_path / "run", 0

    def agreed(self: Distribution, *said: bool) -> tuple[bool, ...]:
        nonlocal steps
        steps += 1
        if steps == 3:
            signal.raise_signal(signal.SIGINT)
        return said

    options = [part for key, value in small.items() for part in ("--set", f"{key}={value}")]
    arguments = ["train", "sentiment", "--data", str(table(reviews)), "--run", str(run)]
    with monkeypatch.context() as patch:
        patch.setattr(Distribution, "agreed", agreed)
        assert main([*arguments, "--seed", str(SEED), *options]) == 130
    said = capsys.readouterr().err
    assert said.splitlines()[-1].endswith(f"--run {run} --resume")
    assert "Traceback" not in said
    assert (run / "checkpoints" / "last.npz").is_file()
    with pytest.raises(apps.UserError, match="has not finished"):
        apps.load(run)

    def go_on(**changes: Any) -> FinishedRun:
        given = {"data": table(reviews), "seed": SEED, **small, **changes}
        return apps.train("sentiment", run=run, resume=True, log=lambda line: None, **given)

    for change, words in (({"units": 9}, "units=8, not 9"), ({"data": reviews[:-1]}, "other data")):
        with pytest.raises(apps.UserError, match=f"started with {words}"):
            go_on(**change)
    assert_same_run(go_on(), FinishedRun(run_of_reviews))
