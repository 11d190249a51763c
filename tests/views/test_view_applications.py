"""What views carry, each learnt by a small application through the whole of training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import apps
from apps.application import Application
from apps.training.plan import Plan
from apps.training.session import Session
from views.toys import Forgetful, Reader, Translator, TwoHeads, catalogued

LEARNING = {"learning_rate": 0.02, "patience": 100}


@pytest.fixture(autouse=True)
def _in_the_catalogue() -> Iterator[None]:
    with catalogued(Translator, TwoHeads, Reader, Forgetful):
        yield


def session(kind: type[Application], run: Path, **settings: Any) -> Session:
    plan = Plan(kind.name, seed=1, settings={**LEARNING, **settings})
    return Session(plan, run=run, log=lambda line: None, resume=run.exists())


def weights(one: Session) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in one.application.model.weights]


def test_source_and_target_of_their_own_lengths_and_an_answer_without_a_teacher(
    tmp_path: Path,
) -> None:
    run = apps.train(
        "translator",
        run=tmp_path / "run",
        epochs=60,
        batch_size=32,
        seed=1,
        log=lambda line: None,
        **LEARNING,
    )
    assert run.metrics["metrics"]["accuracy"] > 0.9
    assert {tensor.name for tensor in run.model.inputs} == {"ids", "lengths"}
    answer = run.predict([{"ids": np.array([2, 4])}, {"ids": np.array([5])}])
    assert answer[0]["words"][:3] == [4, 2, 1]
    assert answer[1]["words"][:2] == [5, 1]
    assert apps.load(run.folder).evaluate("sample")["accuracy"] > 0.9


@pytest.mark.usefixtures("trusting")
def test_outputs_that_are_several_named_tensors(tmp_path: Path) -> None:
    run = apps.train(
        "two_heads",
        run=tmp_path / "run",
        epochs=40,
        batch_size=16,
        seed=1,
        log=lambda line: None,
        **LEARNING,
    )
    (answer,) = run.predict([{"ids": np.array([3, 5, 2])}])
    assert answer["word"] == 2
    assert answer["size"] == pytest.approx(3, abs=0.5)
    version = run.export(tmp_path / "models", log=lambda line: None)
    signature = tf.saved_model.load(str(version)).signatures["tensors"]
    assert set(signature.structured_outputs) == {"logits", "size"}


@pytest.mark.parametrize(("kind", "learnt"), [(Reader, True), (Forgetful, False)])
def test_what_lies_before_the_window_is_learnt_only_where_state_is_carried(
    kind: type[Application], learnt: bool, tmp_path: Path
) -> None:
    position = session(kind, tmp_path / "run", epochs=40, batch_size=8).fit()
    assert position.best is not None
    assert (position.best["value"] > 0.95) == learnt


def test_an_interrupted_epoch_goes_on_with_the_state_that_it_carried(tmp_path: Path) -> None:
    settings = {"epochs": 3, "batch_size": 8}
    whole = session(Reader, tmp_path / "whole", **settings)
    whole.fit()

    cut = session(Reader, tmp_path / "cut", **settings)

    def interrupt(position: Any) -> None:
        # Between two windows of a file.
        if position.total == 8:
            cut._training._save(position)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.fit(on_step=interrupt)
    assert (tmp_path / "cut" / "checkpoints" / "last.npz").is_file()
    with np.load(tmp_path / "cut" / "checkpoints" / "last.npz") as arrays:
        assert arrays["state_cell"].any()
    again = session(Reader, tmp_path / "cut", **settings)
    again.fit()
    for one, other in zip(weights(whole), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("steps", [2, 3])
def test_pieces_of_a_batch_carry_their_own_rows(steps: int, tmp_path: Path) -> None:
    settings = {"epochs": 2, "batch_size": 8}
    whole = session(Reader, tmp_path / "whole", **settings)
    pieces = session(Reader, tmp_path / "pieces", accumulation_steps=steps, **settings)
    whole.fit()
    pieces.fit()
    for one, other in zip(weights(whole), weights(pieces), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_devices_carry_their_own_rows(tmp_path: Path) -> None:
    alone = session(Reader, tmp_path / "alone", epochs=2, batch_size=8)
    alone.fit()
    script = Path(__file__).with_name("two_devices.py")
    root = Path(apps.__file__).parents[1]
    subprocess.run(
        [sys.executable, script, tmp_path / "shared", tmp_path / "weights.npz"],
        check=True,
        timeout=600,
        env={"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
    )
    with np.load(tmp_path / "weights.npz") as shared:
        for one, name in zip(weights(alone), shared.files, strict=True):
            np.testing.assert_allclose(one, shared[name], atol=1e-4)
