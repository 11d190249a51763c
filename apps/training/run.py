"""A finished run: measured, asked, reported."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from apps import catalogue
from apps.answers import answers as as_python
from apps.application import Application
from apps.components import Baseline
from apps.data import Examples, read
from apps.errors import UserError, cause_of
from apps.layers.kernels.dispatch import for_this_process
from apps.training.finish import report_of
from apps.training.measuring import (
    Measured,
    Statistics,
    finite,
    intervals_of,
    measured,
    metrics_of,
)
from apps.training.prediction import Predictor
from apps.training.run_folder import RunFolder


@dataclass(frozen=True)
class Chosen:
    """Which rows of a source are meant, and what their columns are called.

    Attributes:
        columns: the application's column names to the source's; as in training where it is None.
        since, until: of series, from one time to before another.
        labels: of sensors, a file with the windows that are anomalies.
    """

    columns: Mapping[str, str] | None = None
    since: str | None = None
    until: str | None = None
    labels: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Evaluation:
    """What was measured on the units of a source.

    Attributes:
        figures: what `FinishedRun.evaluate` gives.
        units: that were measured on.
        statistics: of each unit: of the model under the name `""`, and of each baseline.
    """

    figures: dict[str, Any]
    units: Examples
    statistics: Mapping[str, Statistics]


class FinishedRun:
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
        kind: type[Application] = catalogue.load(about["application"])
        try:
            # Keras takes any other file for a missing one.
            zipfile.ZipFile(files.model).close()
            with for_this_process():
                served = keras.models.load_model(files.model, compile=False)
        # A damaged file fails in the zip, JSON, HDF5 or layer code, each with errors of its own.
        except Exception as error:
            raise UserError(
                f"{files.model}: cannot be read ({cause_of(error)}); train the run again"
            ) from error
        self.files = files
        self.folder = files.path
        self.seed: int = about["seed"]
        self.renamed: dict[str, str] = about["columns"]
        config = kind.Config.from_values(about["config"])
        self.application = kind.restored(config, self.seed, served)
        self._predictor: Predictor | None = None

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

    @property
    def predictor(self) -> Predictor:
        """The model as one graph, traced once."""
        if self._predictor is None:
            self._predictor = Predictor(self.application)
        return self._predictor

    def evaluate(
        self,
        data: Any,
        *,
        columns: Mapping[str, str] | None = None,
        since: str | None = None,
        until: str | None = None,
        labels: str | os.PathLike[str] | None = None,
    ) -> dict[str, Any]:
        """Measure the model and its baselines on data that it has not seen.

        Args:
            data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
            columns: the application's column names to the source's; as in training unless given.
            since, until: of series, rows from one time to before another are measured on.
            labels: of sensors, a file with the windows that are anomalies.

        Returns:
            Each metric by name, `interval` (95 % bootstrap, by metric), `examples`, `skipped`,
            `baselines` (each with the same metrics), `decoders` (the same, where the task has
            several), `by_class` (where it tells classes apart), `tests` (by baseline, where the
            task tests differences) and `seconds`. An undefined figure is None.
        """
        return self.evaluated(data, Chosen(columns, since, until, labels)).figures

    def evaluated(self, data: Any, chosen: Chosen) -> Evaluation:
        """Measure as `evaluate` does, and say on which units and by which statistics."""
        started = time.monotonic()
        application, task = self.application, self.application.task
        rows, checked = self.checked(data, chosen)
        units = application.input.units(checked)
        found, others = self._measured(units)
        decoders = {name: metrics_of(task, one) for name, one in found.decoders.items()}
        by_class = {name: finite(one) for name, one in task.by_class(found.statistics).items()}
        tests = task.compared(found.statistics, others)
        figures = {
            **metrics_of(task, found.statistics),
            "interval": intervals_of(task, found.statistics, units, self.seed),
            "examples": len(units),
            "skipped": max(len(rows) - len(checked), 0),
            "baselines": {name: metrics_of(task, one) for name, one in others.items()},
            **({"decoders": decoders} if decoders else {}),
            **({"by_class": by_class} if by_class else {}),
            **({"tests": tests} if tests else {}),
            "seconds": round(time.monotonic() - started, 2),
        }
        return Evaluation(figures, units, {"": found.statistics, **others})

    def predict(
        self,
        inputs: Any,
        *,
        columns: Mapping[str, str] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[dict[str, Any]]:
        """Answers for raw inputs, in their order; empty ones are answered too.

        Args:
            inputs: a list of inputs (texts, say), or any source that holds the input columns.
            columns: the application's column names to the source's; as in training unless given.
            since, until: of series, what is known of them ends before `until`.

        Returns:
            One answer a row, of names and JSON values.
        """
        units = self.asked(inputs, Chosen(columns, since, until))
        return [] if units is None else self.answers(units)

    def checked(self, data: Any, chosen: Chosen) -> tuple[Examples, Examples]:
        """The rows of a source that are meant, and the usable ones of them."""
        application = self.application
        rows = self._read(data, chosen.columns, application.columns())
        rows = application.input.within(rows, chosen.since, chosen.until)
        if chosen.labels is not None:
            rows = application.input.labelled(rows, os.fspath(chosen.labels))
        return rows, application.check(rows, learning=False)

    def statistics(self, units: Examples) -> dict[str, Statistics]:
        """Statistics of units: of the model under the name `""`, and of each baseline."""
        found, others = self._measured(units)
        return {"": found.statistics, **others}

    def _measured(self, units: Examples) -> tuple[Measured, dict[str, Statistics]]:
        application, task = self.application, self.application.task
        view, truth = application.view(units), task.truth(units)
        found = measured(application, self.predictor, view, truth)
        fitted = self.baselines()
        return found, {name: task.statistics_of(one, units) for name, one in fitted.items()}

    def asked(self, inputs: Any, chosen: Chosen | None = None) -> Examples | None:
        """The units that a source of raw inputs asks about; None for an empty list."""
        application, chosen = self.application, chosen or Chosen()
        columns = chosen.columns
        names = (*application.input.columns, *application.input.attributes)
        if isinstance(inputs, Sequence) and not isinstance(inputs, str):
            if not inputs:
                return None
            if not isinstance(inputs[0], (Mapping, tuple)):
                inputs = [{names[0]: value} for value in inputs]
                columns = {}
        rows = self._read(inputs, columns, names, asking=True)
        rows = application.input.within(rows, chosen.since, chosen.until)
        return application.input.asked(rows, application.metadata())

    def answers(self, units: Examples) -> list[dict[str, Any]]:
        """Answers about units, in their order."""
        application = self.application
        found: dict[int, dict[str, Any]] = {}
        for predicted in self.predictor(application.view(units, targets=False)):
            answered = as_python(self.predictor.answers(predicted), len(predicted.units))
            found.update(zip(map(int, predicted.units), answered, strict=True))
        return [found[unit] for unit in range(len(found))]

    def report(self) -> Path:
        """Write `report.html` again from what the run folder holds."""
        return report_of(self.files, self.application)

    def baselines(self) -> dict[str, Baseline]:
        """The fitted baselines, by name."""
        fitted = self.application.baselines()
        for name, baseline in fitted.items():
            baseline.restore(self.files.read_arrays(self.files.baselines / f"{name}.npz"))
        return fitted

    def _read(
        self,
        source: Any,
        columns: Mapping[str, str] | None,
        names: Iterable[str],
        asking: bool = False,
    ) -> Examples:
        """Rows of the named columns; names from training hold only where the source has them."""
        application = self.application
        known = application.columns()
        wanted = {name: known[name] for name in names}
        renamed = self.renamed if columns is None else columns
        renamed = {name: other for name, other in renamed.items() if name in wanted}
        sample, seed = application.sample, self.seed + 1
        return read(source, wanted, rename=renamed, sample=sample, seed=seed, asking=asking)
