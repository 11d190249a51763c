"""Around the model on a GPU: the record of the device, strategies, trials of a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from under_test import BACKWARD, DEVICE, KERNEL, ON_CPU, kernels_run, needs_device

import apps
import tuning

pytestmark = [pytest.mark.gpu, needs_device]
Rows = list[dict[str, str]]


def test_run_tells_the_card(reviews: Rows, small: dict[str, Any], tmp_path: Path) -> None:
    run = apps.train("sentiment", reviews, run=tmp_path / "run", log=lambda line: None, **small)
    told = json.loads((run.folder / "environment.json").read_text())["device"]
    cards = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(card)["device_name"] for card in cards]
    assert told == ("CPU" if ON_CPU else names[0])
    variables = {DEVICE[:3] in weight.value.device for weight in run.model.trainable_variables}
    assert variables == {True}


def test_mirrored_training_uses_what_is_there(
    reviews: Rows, small: dict[str, Any], tmp_path: Path
) -> None:
    said: list[str] = []

    def train() -> None:
        given = {"strategy": "mirrored", "log": said.append, **small}
        apps.train("sentiment", reviews, run=tmp_path / "run", **given)

    assert kernels_run(train) == {KERNEL, BACKWARD}
    assert any(f"({DEVICE[:3]})" in line for line in said)


def test_trials_in_processes_of_their_own_share_the_card(
    reviews: Rows, small: dict[str, Any], tmp_path: Path
) -> None:
    fix = {name: value for name, value in small.items() if name != "units"}
    found = tuning.search(
        "sentiment",
        reviews,
        run=tmp_path / "search",
        algorithm="random",
        trials=2,
        workers=2,
        finalists=0,
        fix=fix,
        log=lambda line: None,
    )
    statuses = [trial["status"] for trial in found.trials]
    assert statuses == ["COMPLETED", "COMPLETED"]
