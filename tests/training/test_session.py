"""A session that is stopped between epochs, moved, and gone on with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from toy import Toy

from apps import catalogue
from apps.data import Examples
from apps.errors import UserError
from apps.training.plan import Plan
from apps.training.run_folder import RunFolder
from apps.training.session import Session

SEED = 5  # of the fixture's run
Rows = list[dict[str, str]]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Session]:
    """A function that begins a training of the toy, or goes on with it."""

    def session(run: Path, kind: type[Toy] = Toy) -> Session:
        entry = catalogue.Entry(f"{kind.__module__}:{kind.__name__}", "which word is more frequent")
        monkeypatch.setitem(catalogue.APPLICATIONS, "toy", entry)
        settings = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01}
        plan = Plan("toy", seed=SEED, settings=settings)
        return Session(plan, run=run, resume=True, log=lambda line: None)

    return session


def state(files: RunFolder) -> dict[str, np.ndarray]:
    arrays = files.read_arrays(files.checkpoints / "last.npz")
    position = json.loads(arrays.pop("position").tobytes())
    for row in position["history"]:
        del row["seconds"]
    del position["seconds"]
    return {**arrays, "position": np.array(json.dumps(position))}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def test_stopped_between_epochs_copied_and_gone_on_with_it_ends_where_it_would_have(
    toy: Callable[..., Session], tmp_path: Path
) -> None:
    reference = toy(tmp_path / "reference")
    reference.fit()
    session = toy(tmp_path / "first")
    before = session.cost()
    assert before["latency_ms"] > 0
    assert before["parameters"] == session.application.model.count_params()
    assert before["size_mb"] == pytest.approx(4e-6 * before["parameters"])
    checkpoint = session.folder.checkpoints / "last.npz"
    epochs: list[tuple[int, bool]] = []
    steps: list[int] = []
    position = session.fit(
        1,
        on_epoch=lambda p: epochs.append((p.epoch, checkpoint.is_file())),
        on_step=lambda p: steps.append(p.total),
    )
    assert (position.epoch, position.step, position.stopped) == (1, 0, "")
    assert epochs == [(1, True)]
    assert steps == list(range(1, position.total + 1))
    assert position.best is not None
    assert position.best["value"] == position.history[0][f"val_{session.application.objective}"]
    assert session.fit(1).total == len(steps), "what is complete is not done again"

    shutil.copytree(tmp_path / "first", tmp_path / "second")
    promoted = toy(tmp_path / "second")
    assert promoted.fit(2).stopped == ""
    assert promoted.fit().stopped == "epochs"
    assert promoted.cost() | {"latency_ms": 0} == before | {"latency_ms": 0}
    assert_same(state(promoted.folder), state(reference.folder))
    models = (one.application.model for one in (promoted, reference))
    for ours, theirs in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())

    # Within the same session, too, a stop leaves no trace.
    session.fit()
    assert_same(state(session.folder), state(reference.folder))


def test_pieces_may_change_under_way_and_what_else_was_asked_for_may_not(
    run_of_reviews: Path, reviews: Rows, small: dict[str, Any], tmp_path: Path
) -> None:
    def resumed(folder: Path, data: str | None = None, **changes: Any) -> None:
        seed, columns = changes.pop("seed", SEED), changes.pop("columns", None)
        plan = Plan("sentiment", reviews, seed=seed, columns=columns, settings={**small, **changes})
        plan.require_same(RunFolder(folder), data)

    about = json.loads((run_of_reviews / "config.json").read_text())
    resumed(run_of_reviews, about["fingerprint"], accumulation_steps=2)
    for change, words in (
        ({"units": 9}, "units=8, not 9"),
        ({"seed": 12}, "seed 5"),
        ({"columns": {"text": "review"}}, "columns {}"),
        ({"data": "of other rows"}, "other data"),
    ):
        with pytest.raises(UserError, match=f"started with {words}"):
            resumed(run_of_reviews, **change)
    # A run from before a setting existed was made with its default.
    older = tmp_path / "older"
    older.mkdir()
    lacking = {key: value for key, value in about["config"].items() if key != "patience"}
    (older / "config.json").write_text(json.dumps({**about, "config": lacking}))
    resumed(older)
    with pytest.raises(UserError, match="started with patience=5, not 6"):
        resumed(older, patience=6)


class Forgetful(Toy):
    """Makes a layer that no model holds."""

    def adapt(self, examples: Examples) -> Any:
        return {**super().adapt(examples), "spare": keras.layers.Dense(2, name="spare")}


class Misnamed(Toy):
    """Makes a layer under another name than its own."""

    def adapt(self, examples: Examples) -> Any:
        return {"words": super().adapt(examples)["words"], "ids": super().adapt(examples)["words"]}


@pytest.mark.parametrize(("kind", "name"), [(Forgetful, "spare"), (Misnamed, "ids")])
def test_what_adapt_made_and_the_model_would_lose_is_named_before_the_training(
    kind: type[Toy], name: str, toy: Callable[..., Session], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"adapt made '{name}'.* would be lost"):
        toy(tmp_path / "run", kind)
    assert not (tmp_path / "run").exists()
