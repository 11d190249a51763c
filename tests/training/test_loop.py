"""The fit loop: when it ends, how the learning rate goes, what it does about a loss of NaN."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest
from toy import rows, training

from apps.errors import UserError
from apps.training.prediction import predict

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
    session = training(tmp_path / "run", epochs=8, learning_rate=0.05)
    position = session.run()
    assert position.history[-1]["loss"] < position.history[0]["loss"] / 2
    scores = [row["val_accuracy"] for row in position.history]
    assert position.best is not None
    assert position.best["value"] == max(scores)
    assert position.best["epoch"] == 1 + scores.index(max(scores))
    kept = session.application.measure(session.truth, predict(session.model, session.validation))
    assert kept["accuracy"] == max(scores)


def test_early_stopping_counts_epochs_without_a_better_score(tmp_path: Path) -> None:
    # With next to no learning rate the first epoch's score is never beaten.
    session = training(tmp_path / "run", epochs=50, patience=2, learning_rate=1e-5, warmup=0.5)
    position = session.run()
    assert position.stopped == "patience"
    assert position.stale == 2
    assert position.best is not None
    assert position.epoch == position.best["epoch"] + 2


def test_minutes_end_the_training_in_time(tmp_path: Path) -> None:
    minutes = 0.2
    said: list[str] = []
    began = time.monotonic()
    session = training(tmp_path / "run", epochs=100_000, patience=100_000, minutes=minutes)
    session.log = said.append
    position = session.run()
    assert position.stopped == "minutes"
    assert 0.3 * 60 * minutes < time.monotonic() - began < 60 * minutes
    assert "the minutes are used up" in said[-1]
    assert position.history[-1]["learning_rate"] < 0.8 * 1e-3


def test_learning_rate_rises_then_falls_to_zero(tmp_path: Path) -> None:
    session = training(tmp_path / "run", epochs=10, learning_rate=0.01, warmup=0.1)
    position = session.checkpoints.restore()
    rates = []
    for position.total in range(10 * STEPS):
        rates.append(session._learning_rate(position))
    steps, rise = 10 * STEPS, STEPS
    expected = [
        0.01 * min(1, (step + 1) / rise) * max(1 - step / steps, 1e-3) for step in range(steps)
    ]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert max(rates) == max(rates[rise - 1 : rise + 1])


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_the_users_to_repair(tmp_path: Path, factor: float) -> None:
    with pytest.raises(UserError, match=r"not finite at step \d+; lower learning_rate"):
        training(tmp_path / "run", loss_factor=factor).run()
    assert not (tmp_path / "run" / "checkpoints" / "last.npz").exists()


def test_predictions_keep_the_order_of_the_rows(tmp_path: Path) -> None:
    model = training(tmp_path / "run").model
    prepared = rows(30, seed=4)
    together = predict(model, prepared, batch_size=7)
    for row, output in enumerate(together):
        ids = prepared.sequences["ids"][row][None]
        alone = model({"ids": ids, "lengths": np.array([ids.shape[1]])})
        np.testing.assert_allclose(alone[0], output, atol=1e-6)
