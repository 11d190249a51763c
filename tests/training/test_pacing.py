"""Layers that learn later or more slowly: still until their turn, then like fresh ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from toy import Toy, training

from apps.components import Pace
from apps.layers.pooling import LengthMask, MaxMeanPooling
from apps.layers.stack import LSTMStack
from apps.training import loop
from apps.training.checkpoints import Position
from apps.training.loop import Training
from apps.training.pacing import Learning, Pacing

STEPS = 3  # of an epoch of so many rows
SETTINGS: dict[str, Any] = {
    "number": 8 * STEPS,
    "epochs": 4,
    "learning_rate": 0.01,
    "weight_decay": 0.1,
}
AVERAGED: dict[str, Any] = {**SETTINGS, "averaging": 0.9}


class Paced(Toy):
    """The toy with a body that begins after half of the training and learns at a tenth."""

    def build(self) -> keras.Model:
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        x = keras.layers.Embedding(self.adapted["words"].size, 4, name="embedding")(ids)
        x = MaxMeanPooling()(x, mask=LengthMask()(ids, lengths))
        inner = keras.Input(x.shape[1:])
        y = keras.layers.Dense(6, name="dense")(inner)
        y = keras.layers.BatchNormalization(name="norm")(y)
        x = keras.Model(inner, y, name="body")(x)
        logits = keras.layers.Dense(len(self.labels), name="logits")(x)
        return keras.Model({"ids": ids, "lengths": lengths}, logits)

    def paces(self) -> Sequence[Pace]:
        return (Pace(("body", "embedding"), rate=0.1, begins=0.5),)


class Unpaced(Paced):
    """The same model, all of which learns from the start."""

    def paces(self) -> Sequence[Pace]:
        return ()


def state(session: Training) -> list[np.ndarray]:
    return [one.numpy() for one in (*session.model.variables, *session.optimizer.variables)]


def body(session: Training) -> list[np.ndarray]:
    """Weights and statistics of the paced layers, and their moments."""
    layers = [session.model.get_layer(name) for name in ("body", "embedding")]
    found = [variable for layer in layers for variable in layer.variables]
    keys = {session.optimizer._var_key(one) for one in found if one.trainable}
    for moments in (session.optimizer._momentums, session.optimizer._velocities):
        pairs = zip(session.model.trainable_variables, moments, strict=True)
        found += [moment for one, moment in pairs if session.optimizer._var_key(one) in keys]
    assert len(found) == 7 + 2 * 5
    return [variable.numpy() for variable in found]


def traces_of(session: Training, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the number of variables that each trace of the step computes."""
    seen: list[int] = []
    step = session._train_step

    def counted(batch: Any) -> Any:
        seen.append(len(session.model.trainable_variables))
        return step(batch)

    monkeypatch.setattr(session, "_train_step", counted)
    return seen


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_layers_stay_as_they_are_until_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, averaging: float
) -> None:
    said: list[str] = []
    session = training(
        tmp_path / "run", kind=Paced, log=said.append, averaging=averaging, **SETTINGS
    )
    traces, before = traces_of(session, monkeypatch), body(session)
    logits = session.model.get_layer("logits").kernel.numpy()
    session.run(2)
    for one, other in zip(before, body(session), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(session.model.get_layer("logits").kernel.numpy() - logits).max() > 0.01
    assert traces == [2], "no gradient is computed of what does not learn"
    session.run(3)
    for one, other in zip(before, body(session), strict=True):
        assert np.abs(one - other).max() > 0
    assert traces == [2, 7]
    assert [line for line in said if "begin" in line] == [
        "epoch 3: begin to learn: body, embedding"
    ]
    assert session.run().begun == [2 * STEPS]
    assert all(variable.trainable for variable in session.model.get_layer("body").weights[:2])


def test_what_is_not_paced_is_traced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = training(tmp_path / "run", kind=Unpaced, **SETTINGS)
    traces = traces_of(session, monkeypatch)
    assert session.run().begun == []
    assert traces == [7]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Training:
    session = training(tmp_path_factory.mktemp("paced") / "run", kind=Paced, **AVERAGED)
    session.run()
    return session


@pytest.mark.parametrize("lost", [STEPS + 2, 2 * STEPS + 1, 2 * STEPS + 2])
def test_killed_before_or_after_layers_begin_it_ends_where_it_would_have(
    tmp_path: Path, uninterrupted: Training, lost: int
) -> None:

    def kill(position: Position) -> None:
        if position.total == lost:
            raise RuntimeError("killed")

    first = training(tmp_path / "run", kind=Paced, checkpoint_seconds=0.0, **AVERAGED)
    with pytest.raises(RuntimeError, match="killed"):
        first.run(on_step=kill)
    again = training(tmp_path / "run", kind=Paced, **AVERAGED)
    position = again.run()
    assert (position.begun, position.total) == ([2 * STEPS], 4 * STEPS)
    for ours, theirs in zip(state(again), state(uninterrupted), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_minutes_that_end_the_epochs_early_count_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 7.0
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now))
    settings = {**SETTINGS, "epochs": 9999, "patience": 9999}
    session = training(tmp_path / "run", kind=Paced, started=now, minutes=1.0, **settings)

    def step(position: Position) -> None:
        nonlocal now
        now += 1.0

    position = session.run(on_step=step)
    assert position.stopped == "minutes"
    assert position.begun == [30]


def test_training_does_not_end_for_want_of_patience_before_all_layers_learn(
    tmp_path: Path,
) -> None:
    settings = {**SETTINGS, "epochs": 20, "objective": "cross_entropy", "loss": "-1"}
    position = training(tmp_path / "run", kind=Paced, patience=2, **settings).run()
    assert position.stopped == "patience"
    assert position.epoch == 10 + 2


def test_layers_inside_others_are_named_by_their_path() -> None:
    steps = keras.Input((None, 3))
    x = LSTMStack((4, 5), return_sequences=False, name="lstm")(steps)
    model = keras.Model(steps, keras.layers.Dense(2, name="logits")(x))
    pacing = Pacing(model, (Pace(("lstm/lstm_0",), 0.2, 0.5), Pace(("lstm/lstm_1",), 0.5, 0.25)))
    low, high, head = Learning(0.2, None), Learning(0.5, 7), Learning()
    assert pacing.learning([7]) == [low, low, low, high, high, high, head, head]
    assert pacing.due([], 0.24) == []
    assert pacing.due([], 0.6) == ["lstm/lstm_1"]
    assert pacing.due([7], 0.6) == ["lstm/lstm_0"]
    with pacing.frozen([7]):
        assert len(model.trainable_variables) == 5
    assert len(model.trainable_variables) == 8
    never = Pacing(model, (Pace(("lstm",), begins=1),))
    assert not never.waiting([])
    assert never.due([], 1.0) == []


@pytest.mark.parametrize(
    ("paces", "words"),
    [
        ([Pace(("lstn",))], "has no layer 'lstn'; it has .*embedding, logits"),
        ([Pace(("embedding/one",))], "embedding has no layer 'one'; it has none"),
        ([Pace(("embedding", "logits"), begins=0.1)], "no layer learns at the start"),
        ([Pace(("embedding",)), Pace(("embedding",))], "'embedding' holds what another"),
    ],
)
def test_paces_of_no_layer_are_refused(paces: list[Pace], words: str) -> None:
    ids = keras.Input((3,))
    x = keras.layers.Embedding(4, 2, name="embedding")(ids)
    model = keras.Model(ids, keras.layers.Dense(2, name="logits")(x))
    with pytest.raises(ValueError, match=words):
        Pacing(model, paces)


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"begins": 1.5}, {"begins": -0.1}])
def test_paces_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="="):
        Pace(("lstm",), **wrong)
