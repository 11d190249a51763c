"""What every application promises of learning on a GPU: gradients, half precision, resuming."""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from under_test import (
    BACKWARD,
    CPU,
    DEVICE,
    KERNEL,
    ON_A_CPU,
    assert_same_direction,
    kernels_run,
)

import apps
from apps.application import Application
from apps.run import Run
from apps.training.checkpoints import Position
from apps.training.distribution import Distribution
from apps.training.gradients import batch_gradients
from apps.training.loop import Training
from apps.training.plan import Plan
from apps.training.run import FinishedRun
from apps.training.session import Session

SEED = 7


class GpuLearning:
    """The fixtures `kind`, `rows`, `settings` and `run` come from `gpu_contract.GpuContract`."""

    @pytest.fixture(scope="class")
    def trainings(
        self,
        kind: type[Application],
        rows: list[dict[str, Any]],
        settings: dict[str, Any],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> list[tuple[str, Training, Any]]:
        """For each device a training that begins, all with the same weights, and a batch."""
        found: list[tuple[str, Training, Any]] = []
        for device in (CPU, DEVICE):
            with tf.device(device):
                folder = tmp_path_factory.mktemp("beginning") / "run"
                found.append((device, *begun(kind, rows, settings, folder)))
        for one, other in zip(*(training.model.weights for _, training, _ in found), strict=True):
            other.assign(one)
        return found

    def test_loss_and_gradients_are_those_of_the_cpu(
        self, trainings: list[tuple[str, Training, Any]], exact: None
    ) -> None:
        batch, found = trainings[0][2], []
        for device, training, _ in trainings:
            with tf.device(device):
                step = differentiated(training.application)
                found.append(step(batch))
                ran = kernels_run(lambda step=step: step(batch))
            assert ran == ({KERNEL, BACKWARD} if device == DEVICE else set(ON_A_CPU))
        (loss, gradients), (other, others) = found
        np.testing.assert_allclose(other, loss, rtol=1e-3)
        for ours, theirs in zip(others, gradients, strict=True):
            assert_same_direction(ours, theirs, 5e-3)

    def test_half_precision_stays_on_the_kernel_and_near_the_loss(
        self,
        kind: type[Application],
        rows: list[dict[str, Any]],
        settings: dict[str, Any],
        trainings: list[tuple[str, Training, Any]],
        half: None,
        tmp_path: Path,
    ) -> None:
        _, whole, batch = trainings[1]
        with tf.device(DEVICE):
            training, _ = begun(kind, rows, settings, tmp_path / "run")
            for one, other in zip(whole.model.weights, training.model.weights, strict=True):
                other.assign(tf.cast(one, other.dtype))
            step = differentiated(training.application)
            loss, gradients = step(batch)
            assert kernels_run(lambda: step(batch)) == {KERNEL, BACKWARD}
            expected, _ = differentiated(whole.application)(batch)
        np.testing.assert_allclose(loss, expected, rtol=5e-2)
        assert all(np.isfinite(tf.convert_to_tensor(one)).all() for one in gradients)

    @pytest.fixture
    def half(self) -> Iterator[None]:
        keras.config.set_dtype_policy("mixed_float16")
        yield
        keras.config.set_dtype_policy("float32")

    def test_interrupted_training_goes_on_from_its_checkpoint(
        self,
        kind: type[Application],
        rows: list[dict[str, Any]],
        settings: dict[str, Any],
        run: Run,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        steps = 0

        def agreed(self: Distribution, *said: bool) -> tuple[bool, ...]:
            nonlocal steps
            steps += 1
            if steps == 3:
                signal.raise_signal(signal.SIGINT)
            return said

        given: dict[str, Any] = {"seed": SEED, "log": lambda line: None, **settings}
        with monkeypatch.context() as patch:
            patch.setattr(Distribution, "agreed", agreed)
            with pytest.raises(KeyboardInterrupt):
                apps.train(kind.name, rows, run=tmp_path / "run", **given)
        again = apps.train(kind.name, rows, run=tmp_path / "run", resume=True, **given)
        # Sums of a card have no fixed order, so runs of it part from one another slowly.
        for one, other in zip(history(again), history(run), strict=True):
            assert one["step"] == other["step"]
            assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=5e-2)


def history(run: FinishedRun) -> list[dict[str, str]]:
    with run.files.history.open() as lines:
        return list(csv.DictReader(lines))


def begun(
    kind: type[Application], rows: list[dict[str, Any]], settings: dict[str, Any], folder: Path
) -> tuple[Training, Any]:
    """A training before its first step, and the batch of that step."""
    plan = Plan(kind.name, rows, seed=SEED, settings=settings)
    training = Session(plan, run=folder, log=lambda line: None)._training
    batch = next(iter(training._batches(Position())))
    return training, {**batch, **training.carried.zeros(training.application.config.batch_size)}


def differentiated(application: Application) -> Any:
    """A graph that gives the loss of a batch and its gradients."""

    @tf.function
    def step(batch: Any) -> Any:
        made = batch_gradients(application, batch)
        return made.loss, [one for one in made.gradients if one is not None]

    return step
