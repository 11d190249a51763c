"""What every application of the catalogue promises, whatever it is trained for."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from asked import (
    answered,
    assert_same_answers,
    followed,
    records,
    rows_that_differ,
    stepped,
    streamed,
)
from points import drawn

import apps
from apps import catalogue
from apps.answers import answers
from apps.application import Application
from apps.composition import beginning_states
from apps.data import Examples
from apps.export.onnx.conversion import outputs_by_name
from apps.inspection.looking import look
from apps.layers import LSTM
from apps.layers.doctor import diagnose_file, diagnose_model
from apps.run import Run
from apps.serving.local import LocalModel
from apps.training.prediction import outputs_of
from tuning.space import Space

FILES = {
    "config.json",
    "metrics.json",
    "history.csv",
    "model.keras",
    "golden.npz",
    "checkpoints",
    "report.html",
    "environment.json",
    "baselines",
    "predictions.jsonl",
}
_CHRONO = 50.0
ANSWER_FROM_FILE = """
import sys
import keras
import numpy as np
import tensorflow as tf

file, rows, target = sys.argv[1:]
served = keras.models.load_model(file, compile=False)
with np.load(rows) as arrays:
    raw = {name: tf.constant(arrays[name]) for name in arrays.files}
answers = {name: value.numpy() for name, value in served(raw).items()}
texts = {name: value.astype("S") for name, value in answers.items() if value.dtype == object}
np.savez(target, **{**answers, **texts})
"""


def one_for_each(names: Iterable[str], contract: type) -> dict[str, type]:
    """A class of tests for each application, since workers take whole classes."""
    return {
        f"Test_{name}": type(f"Test_{name}", (contract,), {"application": name}) for name in names
    }


class ApplicationContract:
    """What one application promises; `one_for_each` makes a class of tests for each.

    Attributes:
        application: its name.
    """

    application: ClassVar[str]

    @pytest.fixture(scope="class")
    def kind(self) -> type[Application]:
        return catalogue.load(self.application)

    @staticmethod
    def imports(kind: type[Application]) -> str:
        """What a fresh process runs to have the application imported."""
        return f"from apps import catalogue; catalogue.load({kind.name!r})"

    @pytest.fixture(scope="class")
    def settings(self, kind: type[Application]) -> dict[str, Any]:
        return dict(kind.tiny().settings)

    @pytest.fixture(scope="class")
    def rows(self, kind: type[Application]) -> Examples:
        return kind.tiny().examples

    @pytest.fixture(scope="class")
    def units(self, rows: Examples, run: Run) -> Examples:
        """What the rows are to the trained model: themselves, or windows of them."""
        application = run.application
        return application.input.units(application.check(rows, learning=False))

    @pytest.fixture(scope="class")
    def asked(self, rows: Examples, run: Run) -> Examples:
        """What is answered where the rows are only asked about."""
        application = run.application
        return application.input.asked(rows, application.metadata())

    @pytest.fixture(scope="class")
    def run(
        self,
        kind: type[Application],
        rows: Examples,
        settings: dict[str, Any],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Run:
        folder = tmp_path_factory.mktemp("contract") / kind.name
        return self.trained(kind, rows, settings, folder)

    @staticmethod
    def trained(
        kind: type[Application], rows: Examples, settings: dict[str, Any], folder: Path
    ) -> Run:
        return apps.train(
            kind.name, records(rows), run=folder, seed=7, log=lambda line: None, **settings
        )

    def test_unknown_setting_is_refused_with_the_nearest(self, kind: type[Application]) -> None:
        key = next(iter(kind.Config.defaults()))
        with pytest.raises(apps.UserError, match=f"did you mean '{key}'"):
            kind.Config.from_values({f"{key}x": 1})

    def test_searched_settings_have_a_range_around_their_default(
        self, kind: type[Application]
    ) -> None:
        defaults = kind.Config.defaults()
        searched = {k: r for k, r in kind.Config.ranges().items() if r.searched}
        assert searched
        for key, span in searched.items():
            if span.choices is not None:
                assert len(span.choices) > 1, key
                assert defaults[key] in span.choices, key
            else:
                assert span.low is not None, key
                assert span.high is not None, key
                low, high = span.span or (span.low, span.high)
                assert span.low <= low <= defaults[key] <= high <= span.high, key
                assert not span.log or span.low > 0, key
            if span.per is not None:
                assert isinstance(defaults[span.per], int), key

    def test_metrics_are_those_it_names_for_every_baseline_too(self, run: Run) -> None:
        names = {metric.name for metric in run.application.task.metrics}
        assert set(run.metrics["metrics"]) == names
        assert run.application.objective in names
        assert run.metrics["baselines"]
        for metrics in run.metrics["baselines"].values():
            assert set(metrics) == names

    def test_a_few_steps_reduce_the_loss(self, run: Run) -> None:
        lines = run.files.history.read_text().splitlines()
        losses = [float(line.split(",")[lines[0].split(",").index("loss")]) for line in lines[1:]]
        assert losses[-1] < losses[0]

    def test_same_seed_gives_the_same_numbers(
        self,
        kind: type[Application],
        rows: Examples,
        settings: dict[str, Any],
        run: Run,
        tmp_path: Path,
    ) -> None:
        again = self.trained(kind, rows, settings, tmp_path / "again")
        for one, other in zip(run.model.weights, again.model.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
        for part in ("metrics", "interval", "baselines", "best"):
            assert run.metrics[part] == again.metrics[part]
        assert run.predict(records(rows)) == again.predict(records(rows))

    def test_file_gives_equal_answers_in_a_fresh_process(
        self, kind: type[Application], units: Examples, run: Run, tmp_path: Path
    ) -> None:
        raw = run.application.raw(units.select(range(9)))
        rows_of_texts: dict[str, Any] = {
            name: v.astype("U") if v.dtype == object else v for name, v in raw.items()
        }
        np.savez(tmp_path / "rows.npz", **rows_of_texts)
        subprocess.run(
            [
                sys.executable,
                "-c",
                f"{self.imports(kind)}\n{ANSWER_FROM_FILE}",
                *(str(p) for p in (run.files.model, tmp_path / "rows.npz", tmp_path / "a.npz")),
            ],
            check=True,
            timeout=200,
            cwd=Path(apps.__file__).parents[1],
        )
        with np.load(tmp_path / "a.npz") as arrays:
            fresh = {name: arrays[name] for name in arrays.files}
        served = answered(run.application, raw)
        assert set(fresh) == set(served)
        for name, value in served.items():
            assert_same_answers(fresh[name], value)

    def test_raw_input_and_prepared_tensors_agree(
        self, rows: Examples, asked: Examples, run: Run
    ) -> None:
        application = run.application
        served = answers(answered(application, application.raw(asked)), len(asked))
        for one, other in zip(run.predict(records(rows)), served, strict=True):
            assert set(one) == set(other)
            assert_same_answers(one, other)

    def test_an_answer_does_not_hang_on_the_rest_of_its_batch(
        self, units: Examples, run: Run
    ) -> None:
        application = run.application
        together = application.view(units, targets=False)
        outputs = outputs_of(application, together)
        for row in {int(together.lengths.argmin()), int(together.lengths.argmax())}:
            alone = outputs_of(application, application.view(units.select([row]), targets=False))
            pairs = zip(tf.nest.flatten(alone[0]), tf.nest.flatten(outputs[row]), strict=True)
            for one, other in (map(np.atleast_1d, pair) for pair in pairs):
                size = min(len(one), len(other))
                np.testing.assert_allclose(one[:size], other[:size], atol=1e-5)

    def test_a_stream_in_chunks_says_what_it_says_in_one(self, run: Run, units: Examples) -> None:
        application = run.application
        if not application.stream_states():
            pytest.skip(f"{application.name} does not stream with its tiny settings")
        raw = application.raw(units.select([0]))
        if set(application.stream_inputs()) != set(raw):
            pytest.skip(
                f"a stream of {application.name} is not a long input; it has a test of its own"
            )
        size = max(value.shape[1] for value in raw.values() if value.ndim > 1)
        cuts = sorted({0, size, *np.random.default_rng(0).integers(0, size, 12).tolist()})
        whole, parts = (streamed(stepped(application), raw, cut) for cut in ([0, size], cuts))
        assert whole
        compiled = streamed(followed(application), raw, [0, size // 2, size])
        for cut, atol in ((parts, 1e-5), (compiled, 1e-4)):
            assert set(cut) == set(whole)
            for name, value in whole.items():
                if np.asarray(value).dtype.kind == "f":
                    np.testing.assert_allclose(cut[name], value, atol=atol)
                else:
                    assert cut[name] == value, name

    def test_an_answer_can_be_looked_into(self, rows: Examples, run: Run) -> None:
        seen = look(run, records(rows), points=2)
        assert seen.gates
        for gates in seen.gates:
            assert len(seen.steps) == len(gates.cell) > 0
            for gate in (gates.input, gates.forget, gates.output):
                assert ((gate >= 0) & (gate <= 1)).all()
            assert (gates.half_lives > 0).all()
        assert seen.attribution is not None
        assert np.isfinite(seen.attribution).all()
        assert len(seen.attribution) == len(seen.steps)

    def test_every_lstm_reaches_cudnn(self, run: Run) -> None:
        diagnoses = diagnose_model(run.model)
        assert diagnoses
        assert [d.layer for d in diagnoses if not d.cudnn] == []

    def test_every_point_of_its_search_space_is_a_config_on_cudnn(
        self, kind: type[Application], rows: Examples
    ) -> None:
        space = Space(kind.Config)
        settings = [space.settings(drawn(space, seed)) for seed in range(30)]
        assert len({str(point) for point in settings}) == 30
        deepest = max(settings, key=lambda point: point.get("depth", 1))
        # The deepest one, and the first in the other direction where direction is searched.
        both = "bidirectional"
        other = [point for point in settings if point.get(both) != deepest.get(both)][:1]
        searched = {name for name, extent in kind.Config.ranges().items() if extent.searched}
        tiny = {k: v for k, v in kind.tiny().settings.items() if k not in {*searched, both}}
        for point in (deepest, *other):
            application = kind(kind.Config.from_values({**point, **tiny, "chrono": _CHRONO}))
            checked = application.check(rows, learning=True)
            application.compose(application.input.units(checked))
            diagnoses = diagnose_model(application.model)
            assert len(diagnoses) >= point.get("depth", 1)
            assert [d.layer for d in diagnoses if not d.cudnn] == []
            inside = application.model._flatten_layers()
            lstms = [one for one in inside if isinstance(one, LSTM)]
            assert _CHRONO in {lstm.chrono for lstm in lstms}

    def test_data_without_a_column_is_refused_before_anything_is_written(
        self, kind: type[Application], rows: Examples, tmp_path: Path
    ) -> None:
        needed = [name for name, column in kind.columns().items() if column.required]
        for missing in needed:
            lacking = [{k: v for k, v in r.items() if k != missing} for r in records(rows)]
            with pytest.raises(apps.UserError, match=f"'{missing}'"):
                apps.train(kind.name, lacking, run=tmp_path / "run")
        with pytest.raises(apps.UserError, match="has no rows"):
            apps.train(kind.name, [], run=tmp_path / "run")
        with pytest.raises(apps.UserError, match="no such file"):
            apps.train(kind.name, tmp_path / "missing.csv", run=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    @pytest.fixture(scope="class")
    def version(self, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A version that the gate let through, with its ONNX file."""
        return run.export(tmp_path_factory.mktemp("models"), onnx=True, log=lambda line: None)

    def test_exported_version_answers_as_the_run_does(
        self, rows: Examples, run: Run, version: Path
    ) -> None:
        few = records(rows)
        names = [*run.application.input.columns, *run.application.input.attributes]
        inputs = [{name: row[name] for name in names if name in row} for row in few]
        ours = run.predict(few)
        for answer, served in zip(ours, LocalModel(version).predict(inputs), strict=True):
            assert set(answer) == set(served)
            assert_same_answers(answer, served)

    def test_exported_version_has_a_kernel_for_each_device(self, version: Path) -> None:
        diagnoses = diagnose_file(version)
        assert diagnoses
        assert all(d.cudnn and d.cpu == "BlockLSTMV2" for d in diagnoses)

    def test_onnx_file_agrees_on_rows_that_it_was_not_compared_on(
        self, units: Examples, run: Run, version: Path
    ) -> None:
        raw = {k: tf.constant(v) for k, v in run.application.raw(units).items()}
        states = beginning_states(run.application.inference(), len(units))
        batch = {**states, **run.application.input.prepare(raw)}
        file = version / "assets.extra" / "model.onnx"
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        names = [tensor.name for tensor in session.get_inputs()]
        assert set(names) == {tensor.name for tensor in run.model.inputs}
        ours = outputs_by_name(run.model, names, tuple(batch[name] for name in names))
        outputs = session.run(list(ours), {name: np.asarray(batch[name]) for name in names})
        theirs = dict(zip(ours, outputs, strict=True))
        differ = rows_that_differ(theirs, ours)
        if any(np.asarray(one).dtype.kind in "iu" for one in ours.values()):
            # Of two hypotheses that are as good as equal, a search may find either.
            assert len(differ) <= 0.02 * len(units)
            if "scores" in ours:
                np.testing.assert_allclose(theirs["scores"], ours["scores"], rtol=1e-3)
        else:
            assert differ == []

    def test_evaluation_measures_model_and_baselines_alike(
        self, rows: Examples, units: Examples, run: Run
    ) -> None:
        measured = run.evaluate(records(rows))
        names = set(run.metrics["metrics"])
        assert set(measured) - {"decoders", "by_class", "tests"} == {
            *names,
            "interval",
            "examples",
            "skipped",
            "baselines",
            "seconds",
        }
        assert measured["examples"] == len(units)
        assert set(measured["baselines"]) == set(run.metrics["baselines"])
        for metrics in [*measured["baselines"].values(), *measured.get("decoders", {}).values()]:
            assert set(metrics) == names
        for name in names:
            low, high = measured["interval"][name]
            assert math.isfinite(measured[name])
            assert low <= high
        low, high = measured["interval"][run.application.objective]
        assert low <= measured[run.application.objective] <= high

    def test_run_folder_is_complete_and_stands_on_its_own(
        self, rows: Examples, run: Run, tmp_path: Path
    ) -> None:
        moved = tmp_path / "moved"
        shutil.copytree(run.folder, moved)
        assert {entry.name for entry in moved.iterdir()} == FILES
        shutil.rmtree(moved / "checkpoints")
        (moved / "report.html").unlink()
        other = apps.load(moved)
        assert other.predict(records(rows)) == run.predict(records(rows))
        assert other.report().read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        environment = json.loads((moved / "environment.json").read_text())
        assert environment["seed"] == 7
        assert {"tensorflow", "keras", "python", "device", "git_revision"} <= set(environment)
