"""What every application of the catalogue promises of a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf
from asked import answered, records, stepped, streamed
from gpu_learning import SEED, GpuLearning, history
from under_test import (
    BACKWARD,
    CPU,
    DEVICE,
    KERNEL,
    ON_A_CPU,
    assert_near,
    kernels_run,
)
from without_gpu import WithoutGpu

import apps
from apps import catalogue
from apps.answers import answers
from apps.application import Application
from apps.data import Examples
from apps.layers.doctor import diagnose_file
from apps.run import Run
from apps.serving.local import LocalModel
from apps.training.prediction import outputs_of


class GpuContract(GpuLearning):
    """What one application promises; `contract.one_for_each` makes a class for each.

    Attributes:
        application: its name.
        ran: recurrent operations of a whole training.
    """

    application: ClassVar[str]
    ran: ClassVar[set[str]]

    @pytest.fixture(scope="class")
    def kind(self) -> type[Application]:
        return catalogue.load(self.application)

    @pytest.fixture(scope="class")
    def settings(self, kind: type[Application]) -> dict[str, Any]:
        return dict(kind.tiny().settings)

    @pytest.fixture(scope="class")
    def rows(self, kind: type[Application]) -> list[dict[str, Any]]:
        return records(kind.tiny().examples)

    @pytest.fixture(scope="class")
    def run(
        self,
        kind: type[Application],
        rows: list[dict[str, Any]],
        settings: dict[str, Any],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Run:
        """A run that was trained on the device under test, as a user trains it."""
        folder = tmp_path_factory.mktemp("gpu") / kind.name
        given: dict[str, Any] = {"seed": SEED, "log": lambda line: None, **settings}
        type(self).ran = kernels_run(lambda: apps.train(kind.name, rows, run=folder, **given))
        return apps.load(folder)

    @pytest.fixture(scope="class")
    def units(self, kind: type[Application], run: Run) -> Examples:
        application = run.application
        checked = application.check(kind.tiny().examples, learning=False)
        return application.input.units(checked).select(range(8))

    @pytest.fixture(scope="class")
    def both(self, run: Run) -> list[tuple[str, Application]]:
        """The trained model twice, its variables on the device under test and on the CPU."""
        found = []
        for device in (DEVICE, CPU):
            with tf.device(device):
                found.append((device, apps.load(run.folder).application))
        return found

    def test_whole_training_runs_on_the_fused_kernel_and_reduces_the_loss(self, run: Run) -> None:
        assert self.ran == {KERNEL, BACKWARD}
        losses = [float(row["loss"]) for row in history(run)]
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0]

    def test_outputs_are_those_of_the_cpu(
        self, both: list[tuple[str, Application]], units: Examples, exact: None
    ) -> None:
        outputs = []
        for device, application in both:

            def ask(application: Application = application) -> list[Any]:
                return outputs_of(application, application.view(units, targets=False))

            with tf.device(device):
                outputs.append(ask())
                assert kernels_run(ask) == {KERNEL if device == DEVICE else ON_A_CPU[0]}
        for ours, theirs in zip(*map(tf.nest.flatten, outputs), strict=True):
            if np.asarray(theirs).dtype.kind == "f":
                largest = np.abs(theirs).max(initial=1.0)
                np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-4 * largest)

    def test_answers_to_nothing_and_to_odd_input_are_those_of_the_cpu(
        self, both: list[tuple[str, Application]], units: Examples, exact: None
    ) -> None:
        """Rows of padding alone among them: what cuDNN itself refuses."""
        cases, found = both[1][1].input.edge_cases(), []
        for device, application in both:
            with tf.device(device):
                raws = (cases, application.raw(units))
                count = [len(next(iter(raw.values()))) for raw in raws]
                found.append(
                    [
                        answer
                        for raw, rows in zip(raws, count, strict=True)
                        for answer in answers(answered(application, raw), rows)
                    ]
                )
        assert_near(*found)

    def test_step_carries_its_states_as_on_the_cpu(
        self, both: list[tuple[str, Application]], units: Examples, exact: None
    ) -> None:
        application = both[0][1]
        raw = application.raw(units.select([0]))
        if not application.stream_states() or set(application.stream_inputs()) != set(raw):
            pytest.skip(f"a stream of {application.name} is not a long input cut into chunks")
        size = max(value.shape[1] for value in raw.values() if value.ndim > 1)
        found = []
        for device, one in both:
            for cuts in ([0, size], [0, size // 3, size // 2, size]):
                with tf.device(device):
                    found.append(streamed(stepped(one), raw, cuts))
        with tf.device(DEVICE):
            ran = kernels_run(lambda: streamed(stepped(application), raw, [0, size]))
        assert ran == {KERNEL}
        for other in found[1:]:
            assert set(other) == set(found[0])
            for name, value in found[0].items():
                if np.asarray(value).dtype.kind == "f":
                    np.testing.assert_allclose(other[name], value, rtol=1e-3, atol=1e-3)

    def test_exported_here_it_passes_the_gate_and_answers_without_a_gpu(
        self, run: Run, rows: list[dict[str, Any]], elsewhere: WithoutGpu, tmp_path: Path
    ) -> None:
        version = run.export(tmp_path / "models", log=lambda line: None)
        assert all(d.cudnn and d.cpu == ON_A_CPU[0] for d in diagnose_file(version))
        asked = inputs_of(run, rows)
        ours, theirs = LocalModel(version).predict(asked), run.predict(rows[: len(asked)])
        assert_near(ours, theirs)
        assert_near(ours, elsewhere.answers(version, asked, tmp_path))

    def test_exported_without_a_gpu_it_runs_on_the_kernel_here(
        self, run: Run, rows: list[dict[str, Any]], elsewhere: WithoutGpu, tmp_path: Path
    ) -> None:
        version = elsewhere.export(run.folder, tmp_path / "models")
        model, asked = LocalModel(version), inputs_of(run, rows)
        ours = model.predict(asked)
        assert kernels_run(lambda: model.predict(asked)) == {KERNEL}
        assert_near(ours, elsewhere.answers(version, asked, tmp_path))


def inputs_of(run: Run, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a client sends of the rows."""
    names = [*run.application.input.columns, *run.application.input.attributes]
    return [{name: row[name] for name in names if name in row} for row in rows]
