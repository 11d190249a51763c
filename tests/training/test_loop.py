"""The fit loop: when it ends, how the learning rate goes, what it does about a loss of NaN."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from toy import Toy, rows, training

from apps.errors import UserError
from apps.tasks.classification import Classification
from apps.training import loop
from apps.training.checkpoints import Position
from apps.training.measuring import provisional_metrics
from apps.training.prediction import outputs_of

STEPS = 12


def test_all_epochs_are_done_and_written_down(tmp_path: Path) -> None:
    position = training(tmp_path / "run", epochs=3, patience=9).run()
    assert (position.stopped, position.epoch, position.total) == ("epochs", 3, 3 * STEPS)
    with (tmp_path / "run" / "history.csv").open() as lines:
        history = list(csv.DictReader(lines))
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert [row["step"] for row in history] == ["12", "24", "36"]
    assert {"loss", "learning_rate", "seconds", "val_accuracy"} <= set(history[0])


def test_training_learns_and_keeps_the_best_weights(tmp_path: Path) -> None:
    session = training(tmp_path / "run", epochs=8, learning_rate=0.05, objective="cross_entropy")
    position = session.run()
    assert position.history[-1]["loss"] < position.history[0]["loss"] / 2
    scores = [row["val_cross_entropy"] for row in position.history]
    assert position.best is not None
    assert position.best["value"] == min(scores)
    assert position.best["epoch"] == 1 + scores.index(min(scores))
    kept, score = provisional_metrics(
        session.application, session.predictor, session.validation, None
    )
    assert kept["cross_entropy"] == score.value == min(scores)
    assert score.loss == pytest.approx(score.value, rel=1e-5)


def test_few_validation_rows_choose_an_epoch_by_the_loss(tmp_path: Path) -> None:
    # Of 40 rows each is worth 2.5 points of accuracy.
    session = training(tmp_path / "run", epochs=8, learning_rate=0.05, objective="accuracy")
    position = session.run()
    assert position.best is not None
    losses = [row["val_loss"] for row in position.history]
    assert position.best["loss"] == min(losses)
    best = losses.index(min(losses))
    assert position.best["epoch"] == 1 + best
    assert position.best["value"] == position.history[best]["val_accuracy"] >= 0.9


def test_early_stopping_counts_epochs_without_a_better_score(tmp_path: Path) -> None:
    # A model that learns the opposite is never better than after the first epoch.
    settings: dict[str, Any] = {"epochs": 50, "objective": "cross_entropy", "loss": "-1"}
    session = training(tmp_path / "run", patience=2, learning_rate=0.01, **settings)
    position = session.run()
    assert position.stopped == "patience"
    assert position.stale == 2
    assert position.best is not None
    assert position.epoch == position.best["epoch"] + 2


def test_minutes_end_the_training_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minutes, now = 2.0, 7.0
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now))
    said: list[str] = []
    session = training(
        tmp_path / "run", epochs=9999, patience=9999, started=now, minutes=minutes, log=said.append
    )

    rates: list[float] = []

    def step(position: Position) -> None:
        nonlocal now
        rates.append(float(session.optimizer.learning_rate.numpy()))
        now += 1.0

    def validation(position: Position) -> None:
        nonlocal now
        now += 5.0

    position = session.run(on_step=step, on_epoch=validation)
    assert position.stopped == "minutes"
    assert 0.5 * 60 * minutes < now - 7.0 < 60 * minutes
    assert "the minutes are used up" in said[-1]
    # The warm-up is a share of the minutes, not of epochs that they will not reach.
    assert 2 < rates.index(max(rates)) < 0.1 * 60 * minutes
    assert max(rates) > 0.9 * 1e-3
    assert position.history[-1]["learning_rate"] < 0.5 * 1e-3
    assert session.minutes_left(position) < 0.5 * minutes


@pytest.mark.parametrize(
    ("end", "settings"),
    [
        ("epochs", {"epochs": 2}),
        (
            "patience",
            {"epochs": 50, "patience": 1, "objective": "cross_entropy", "loss": "-1"},
        ),
    ],
)
def test_minutes_that_are_not_used_are_accounted_for(
    tmp_path: Path, end: str, settings: dict[str, Any]
) -> None:
    said: list[str] = []
    session = training(
        tmp_path / "run", minutes=600.0, log=said.append, learning_rate=0.01, **settings
    )
    position = session.run()
    assert position.stopped == end
    assert said[-1].split(" minutes are left: ")[0].endswith(" of 600")
    assert end.rstrip("s") in said[-1]
    assert 599 < session.minutes_left(position) < 600


def test_learning_rate_rises_then_falls_to_zero(tmp_path: Path) -> None:
    session = training(tmp_path / "run", epochs=10, learning_rate=0.01, warmup=0.1)
    rates = [session._learning_rate(Position(total=step)) for step in range(10 * STEPS)]
    steps, rise = 10 * STEPS, STEPS
    expected = [
        0.01 * min(1, (step + 1) / rise) * max(1 - step / steps, 1e-3) for step in range(steps)
    ]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert max(rates) == max(rates[rise - 1 : rise + 1])


@pytest.mark.parametrize("factor", ["nan", "inf"])
def test_a_loss_that_is_not_finite_is_the_users_to_repair(tmp_path: Path, factor: str) -> None:
    with pytest.raises(UserError, match=r"not finite at step \d+; lower learning_rate"):
        training(tmp_path / "run", loss=factor).run()
    assert not (tmp_path / "run" / "checkpoints" / "last.npz").exists()


def test_outputs_keep_the_order_of_the_units(tmp_path: Path) -> None:
    toy = training(tmp_path / "run").application
    # More than one batch of them.
    view = toy.view(rows(150, seed=4), targets=False)
    together = outputs_of(toy, view)
    assert len(together) == 150
    for unit in range(0, 150, 7):
        alone = toy.model(view.select(np.array([unit])))
        np.testing.assert_allclose(alone[0], together[unit], atol=1e-6)


def test_an_undefined_score_is_beaten_by_any_number(tmp_path: Path) -> None:
    measured = 0

    class Late(Classification):
        """Has no accuracy in the first epoch."""

        def measure(self, statistics: Any) -> dict[str, float]:
            nonlocal measured
            measured += 1
            found = super().measure(statistics)
            return found if measured > 1 else {**found, "accuracy": math.nan}

    class LateToy(Toy):
        task = Late("label")

    position = training(tmp_path / "run", kind=LateToy, learning_rate=1e-5).run()
    assert math.isnan(position.history[0]["val_accuracy"])
    assert position.best is not None
    assert position.best["epoch"] == 2
