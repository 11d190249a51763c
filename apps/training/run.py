"""A finished run: measured, asked, reported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps import catalogue, environment
from apps.application import Application, Baseline
from apps.data import read
from apps.errors import UserError
from apps.report.bootstrap import bootstrap_interval
from apps.report.record import read_predictions
from apps.report.report import write_report
from apps.training.prediction import predict
from apps.training.run_folder import RunFolder


class Run:
    """A trained model with its configuration and baselines, independent of its training data.

    Args:
        folder: a run folder whose training has finished.

    Raises:
        UserError: the folder is not a run, or its training has not finished.
    """

    def __init__(self, folder: str | Path) -> None:
        files = RunFolder(folder)
        files.require_finished()
        about = files.about()
        kind = catalogue.load(about["application"])
        try:
            served = keras.models.load_model(files.model, compile=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error).split("\n")[0][:200]
            raise UserError(
                f"{files.model}: cannot be read ({reason}); train the run again"
            ) from error
        self.files = files
        self.folder = files.path
        self.seed: int = about["seed"]
        self.renamed: dict[str, str] = about["columns"]
        self.application: Application = kind.from_served(
            kind.Config.from_values(about["config"]), self.seed, served
        )

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, application={self.application.name!r})"

    @property
    def model(self) -> keras.Model:
        """The Keras model on prepared tensors."""
        return self.application.model

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured on the validation rows at the end of training."""
        return self.files.read_json(self.files.metrics)

    def evaluate(self, data: Any, *, columns: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Measure the model and its baselines on data that it has not seen.

        Args:
            data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
            columns: the application's column names to the source's; as in training unless given.

        Returns:
            Each metric by name, `interval` (95 % bootstrap, by metric), `examples`, `skipped`,
            `baselines` (each with the same metrics), `decoders` (the same, where the application
            has several) and `seconds`.
        """
        started = time.monotonic()
        application = self.application
        rows = self._read(data, columns, tuple(application.columns))
        examples = application.check(rows, learning=False)
        truth = application.truth(examples)
        outputs = predict(application, application.prepare(examples, targets=False))
        decoded = application.decode(outputs)
        return {
            **application.measure(truth, decoded),
            "interval": bootstrap_interval(application.measure, truth, decoded, seed=self.seed),
            "examples": len(examples),
            "skipped": max(len(rows) - len(examples), 0),
            "baselines": {
                name: application.measure(truth, baseline.predict(examples))
                for name, baseline in self.baselines().items()
            },
            **measured_decoders(application, truth, outputs),
            "seconds": round(time.monotonic() - started, 2),
        }

    def predict(
        self, inputs: Any, *, columns: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Answers for raw inputs, in their order; empty ones are answered too.

        Args:
            inputs: a list of inputs (texts, say), or any source that holds the input columns.
            columns: the application's column names to the source's; as in training unless given.

        Returns:
            One answer a row, of names and JSON values.
        """
        names = self.application.inputs
        if isinstance(inputs, Sequence) and not isinstance(inputs, str):
            if not inputs:
                return []
            if not isinstance(inputs[0], (Mapping, tuple)):
                inputs = [{names[0]: value} for value in inputs]
                columns = {}
        examples = self._read(inputs, columns, names)
        outputs = predict(self.application, self.application.prepare(examples, targets=False))
        return self.application.answers(self.application.decode(outputs))

    def export(
        self,
        base: str | os.PathLike[str] = "saved_models",
        *,
        onnx: bool = False,
        log: Callable[[str], None] | None = None,
    ) -> Path:
        """Write the next version of the SavedModel, put through the gate before it appears.

        Args:
            base: the folder of all models.
            onnx: also write `assets.extra/model.onnx`, with what it needs beside it.
            log: takes progress lines; standard error unless given.

        Returns:
            The folder of the version, `base/APPLICATION/N`.

        Raises:
            UserError: the gate refuses the version, or it cannot be written.
        """
        from apps.export.saved_model import export_version

        return export_version(self, base, onnx=onnx, log=log or environment.say)

    def report(self) -> Path:
        """Write `report.html` again from what the run folder holds."""
        sections = self.application.sections(read_predictions(self.folder))
        return write_report(self.folder, sections, purpose=_purpose(self.application))

    def baselines(self) -> dict[str, Baseline]:
        """The fitted baselines, by name."""
        fitted = self.application.baselines()
        for name, baseline in fitted.items():
            baseline.restore(self.files.read_arrays(self.files.baselines / f"{name}.npz"))
        return fitted

    def _read(self, source: Any, columns: Mapping[str, str] | None, names: Sequence[str]) -> Any:
        """Rows of the named columns; names from training hold only where the source has them."""
        application = self.application
        wanted = {name: application.columns[name] for name in names}
        renamed = self.renamed if columns is None else columns
        renamed = {name: other for name, other in renamed.items() if name in wanted}
        return read(source, wanted, rename=renamed, sample=application.sample, seed=self.seed + 1)


def measured_decoders(
    application: Application, truth: np.ndarray, outputs: np.ndarray
) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics of each way to decode the outputs, under `decoders`; nothing where there is one."""
    decoded = application.decoders(outputs)
    measured = {name: application.measure(truth, one) for name, one in decoded.items()}
    return {"decoders": measured} if measured else {}


def _purpose(application: Application) -> str:
    answers = catalogue.APPLICATIONS[application.name].answers
    return f"It answers {answers}."
