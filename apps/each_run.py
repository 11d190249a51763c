"""Runs of one series each, evaluated, asked, reported and exported together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps import environment
from apps.application import Application
from apps.atomic import write_atomically
from apps.data import Examples
from apps.errors import UserError, nearest
from apps.export.saved_model import export_version
from apps.report.templates import render
from apps.training.each import runs_in
from apps.training.measuring import BLOCK, Statistics, intervals_of, metrics_of
from apps.training.run import Chosen, FinishedRun
from apps.training.run_folder import RunFolder


class EachRun:
    """Trained models of one series each; a row is asked of the model of its own series.

    Args:
        folder: what `train` has written where each series has a model of its own.

    Attributes:
        files: the run folders by series.

    Raises:
        UserError: a training has not finished.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.files = {name: RunFolder(child) for name, child in runs_in(folder).items()}
        for files in self.files.values():
            files.require_finished()
        self._loaded: dict[str, FinishedRun] = {}

    def __repr__(self) -> str:
        return f"EachRun({str(self.folder)!r}, {len(self.files)} series)"

    def run(self, name: str) -> FinishedRun:
        """The run of a series, loaded once.

        Raises:
            UserError: there is none.
        """
        if name not in self.files:
            raise UserError(
                f"{self.folder}: has no model of a series '{name}'{nearest(name, self.files)}; "
                "train again with it"
            )
        if name not in self._loaded:
            self._loaded[name] = FinishedRun(self.files[name].path)
        return self._loaded[name]

    @property
    def first(self) -> FinishedRun:
        """The run of the first series, which knows what all of them have in common."""
        return self.run(next(iter(self.files)))

    @property
    def application(self) -> Application:
        """The application of the first run."""
        return self.first.application

    @property
    def model(self) -> keras.Model:
        """The Keras model of the first run."""
        return self.first.model

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured at the end of each training, by series."""
        return {name: files.read_json(files.metrics) for name, files in self.files.items()}

    def evaluate(self, data: Any, **chosen: Any) -> dict[str, Any]:
        """Measure each model on its series; arguments and result are those of `Run.evaluate`.

        Figures are of the rows of all series together; `by_series` has those of each.
        """
        started = time.monotonic()
        rows, checked = self.first.checked(data, Chosen(**chosen))
        task, found, units = self.application.task, [], []
        for name, part in self.application.input.each(checked).items():
            run = self.run(name)
            own = run.application.input.units(part)
            found.append((name, run.statistics(own)))
            units.append(own)
        together = {
            who: _joined([statistics[who] for _, statistics in found]) for who in found[0][1]
        }
        model = together.pop("")
        return {
            **metrics_of(task, model),
            "interval": intervals_of(task, model, _all(units), self.first.seed),
            "examples": sum(map(len, units)),
            "skipped": max(len(rows) - len(checked), 0),
            "baselines": {name: metrics_of(task, one) for name, one in together.items()},
            "by_series": {name: metrics_of(task, one[""]) for name, one in found},
            "seconds": round(time.monotonic() - started, 2),
        }

    def predict(self, inputs: Any, **chosen: Any) -> list[dict[str, Any]]:
        """Answers of the model of each series, in the order of the inputs; see `Run.predict`."""
        units = self.first.asked(inputs, Chosen(**chosen))
        if units is None:
            return []
        names = self.application.input.names_of(units)
        found: dict[int, dict[str, Any]] = {}
        for name in dict.fromkeys(names):
            own = np.flatnonzero([one == name for one in names])
            answers = self.run(name).answers(units.select(own))
            found.update(zip(own.tolist(), answers, strict=True))
        return [found[unit] for unit in range(len(found))]

    def report(self) -> Path:
        """Write `report.html`: the figures of all series, and the way to the report of each."""
        rows = [
            (name, f"{self.files[name].path.name}/report.html", figures)
            for name, figures in self.metrics.items()
        ]
        page = render(
            "each.html.j2", run=self.folder.resolve().name, rows=rows, application=self.application
        )
        file, content = self.folder / "report.html", page.encode("utf-8", errors="replace")
        write_atomically(file, lambda stream: stream.write(content))
        return file

    def export(
        self,
        base: str | os.PathLike[str] = "saved_models",
        *,
        log: Callable[[str], None] | None = None,
        **chosen: Any,
    ) -> Path:
        """Write a SavedModel for each series, `base/APPLICATION.SERIES/N`; see `Run.export`.

        Returns:
            `base`.
        """
        say = log or environment.say
        for name in self.files:
            run = self.run(name)
            model = f"{self.application.name}.{run.folder.name}"
            say(str(export_version(run, base, model=model, log=say, **chosen)))
        return Path(base)


def _joined(statistics: list[Statistics]) -> Statistics:
    return {name: np.concatenate([one[name] for one in statistics]) for name in statistics[0]}


def _all(units: list[Examples]) -> Examples:
    """Units of all series, with blocks of their own."""
    first, blocks = 0, []
    for one in units:
        blocks.append(np.asarray(one[BLOCK]) + first)
        first = int(blocks[-1].max()) + 1
    places = [place for one in units for place in one.places]
    return Examples({BLOCK: np.concatenate(blocks).tolist()}, places, units[0].source)
