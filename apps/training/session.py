"""A training from a data source to a finished run, stoppable between epochs."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from apps import catalogue, environment
from apps.application import Application
from apps.data import Examples, read, split
from apps.errors import UserError
from apps.report.bootstrap import bootstrap_interval
from apps.training.checkpoints import Position
from apps.training.distribution import Distribution, distribute
from apps.training.golden import golden_answers, to_arrays
from apps.training.loop import Budget, Training
from apps.training.provenance import describe_environment, peak_memory_mb
from apps.training.run import Run, measured_decoders
from apps.training.run_folder import RunFolder, new_run_folder

# Gradients of a batch in parts are those of the whole, so a run may go on in other parts.
_MAY_CHANGE = frozenset({"parts"})


class Session:
    """A training of an application, from its data to its finished run.

    Everything that comes before the first step is done on construction: data are read and checked,
    the model is built, and the run folder is made or found to be one that can be gone on with. A
    folder that was copied from another run of the same settings and data is as good as its own.

    Args:
        application: a name of the catalogue.
        data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
        validation: a source to choose by; a part of `data` is held out where it is None.
        columns: the application's column names to the source's, where they differ.
        minutes: budget of the run from here on, what earlier sessions have taken included; the
            learning rate falls to zero within it.
        anneal: whether it does; else it falls with the epochs alone, and `minutes` only end it.
        seed: seeds weights, dropout, data order and splits.
        run: the run folder; named after application and time unless given.
        resume: go on with a run that was interrupted, from its start where it had not got as far
            as making its folder.
        log: takes progress lines; standard error unless given.
        strategy: `mirrored` for all devices of this process, `multiworker` for all processes that
            `TF_CONFIG` names, which must be asked for before TensorFlow does anything else; one
            device unless given. Each batch is shared among the devices. What `distribute` has
            made already is taken too.
        **settings: hyperparameters of the application.

    Attributes:
        learner: the application, its model built.
        folder: the run folder; a temporary one in all processes but the first.

    Raises:
        UserError: settings, data or folder are at fault; nothing is left half-written.
    """

    def __init__(
        self,
        application: str,
        data: Any = "sample",
        *,
        validation: Any = None,
        columns: Mapping[str, str] | None = None,
        minutes: float | None = None,
        anneal: bool = True,
        seed: int = 0,
        run: str | os.PathLike[str] | None = None,
        resume: bool = False,
        log: Callable[[str], None] | None = None,
        strategy: str | Distribution | None = None,
        **settings: Any,
    ) -> None:
        started = time.monotonic()
        about = describe(application, data, validation, columns, seed, settings)
        if minutes is not None and not 0 < minutes < 1e6:
            raise UserError(f"minutes={minutes}: give a positive number of minutes")
        kind = catalogue.load(application)
        say = log or environment.say
        if not isinstance(strategy, Distribution):
            strategy = distribute(strategy, say)
        self._distribution = strategy
        self._say = say if strategy.chief else _silent
        self._seed = seed
        self.folder = RunFolder(run or new_run_folder(application))
        going_on = bool(strategy.from_chief(lambda: self._goes_on(about) if resume else b""))
        if not strategy.chief:
            self.folder = RunFolder(_temporary_folder())
        keras.utils.set_random_seed(seed)
        self.learner = learner = kind(kind.Config.from_values(settings), seed)
        rows = read(data, kind.columns, rename=dict(columns or {}), sample=kind.sample, seed=seed)
        training, held_out, skipped = _divide(learner, rows, validation, columns)
        about["fingerprint"] = fingerprint(training, held_out)
        self._check_data(about, going_on)
        # Whatever the data or the settings have wrong shows before anything is written.
        with strategy.scope():
            learner.learn(training)
            usable = learner.check(held_out, learning=False)
            learner.build()
        skipped += max(len(held_out) - len(usable), 0)
        self._rows, self._held_out, self._skipped = training, usable, skipped
        self._truth = learner.truth(usable)
        self._open(about, going_on)
        self._say(
            f"{len(training)} training rows, {len(usable)} validation rows, {skipped} skipped "
            f"({learner.passed_over})"
        )
        self._baselines: dict[str, dict[str, float]] | None = None
        self._validation = learner.prepare(usable)
        self._training = Training(
            learner,
            learner.prepare(training),
            self._validation,
            self._truth,
            self.folder,
            Budget(started, minutes, anneal=anneal),
            self._say,
            strategy,
        )

    def _goes_on(self, about: Mapping[str, Any]) -> bytes:
        """Something where there is a run to go on with, its settings found to be the same."""
        if not self.folder.unbegun():
            check_same(self.folder, about)
            return b"1"
        self._say(
            f"{self.folder.path}: holds nothing to go on from; training starts from the beginning"
        )
        return b""

    def _check_data(self, about: Mapping[str, Any], going_on: bool) -> None:
        """Refuse rows that are not those of the first process, or those the run began with."""

        def chiefs() -> bytes:
            if going_on:
                check_same(self.folder, about)
            return about["fingerprint"].encode()

        differs = self._distribution.from_chief(chiefs) != about["fingerprint"].encode()
        if any(self._distribution.agreed(differs)):
            raise UserError("the processes of this training read different data; give all the same")

    def _open(self, about: Mapping[str, Any], going_on: bool) -> None:
        def open_own() -> bytes:
            if going_on and self._distribution.chief:
                self.folder.sweep()
            else:
                surroundings = describe_environment(self._seed)
                self.folder.create(about, {**surroundings, **self._distribution.describe()})
            return b""

        self._distribution.from_chief(open_own)
        if not self._distribution.chief:
            open_own()

    def cost(self) -> dict[str, float]:
        """What the model costs whoever serves it, trained or not.

        Returns:
            `parameters`; `latency_ms`, the median milliseconds of one example in a batch of its
            own; `size_mb`, the served weights in 10^6 bytes.
        """
        return {
            "parameters": self.learner.model.count_params(),
            "latency_ms": self._training.predictor.milliseconds(self._validation),
            "size_mb": sum(weight.numpy().nbytes for weight in self.learner.served().weights) / 1e6,
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        """Metrics of each baseline on the validation rows, by name.

        Each is fitted once and kept in the run folder.
        """
        if self._baselines is None:
            self._baselines = {}
            for name, baseline in self.learner.baselines().items():
                file = self.folder.baselines / f"{name}.npz"
                if file.is_file():
                    baseline.restore(self.folder.read_arrays(file))
                else:
                    baseline.fit(self._rows)
                    self.folder.write_arrays(file, baseline.state())
                metrics = self.learner.measure(self._truth, baseline.predict(self._held_out))
                self._baselines[name] = metrics
                objective = self.learner.objective
                self._say(f"baseline {name}: {objective} {metrics[objective]:.4f}")
        return self._baselines

    def fit(
        self,
        epochs: int | None = None,
        on_epoch: Callable[[Position], None] | None = None,
        on_step: Callable[[Position], None] | None = None,
    ) -> Position:
        """Train to the end, or until so many epochs of the schedule are complete.

        A training that stops early goes on, in this process or in another one, as if it never had.
        The learning rate is that of the whole schedule in either case.

        Args:
            epochs: epochs after which to stop, those of earlier sessions included; None for all.
            on_epoch: is called after each epoch, its checkpoint written.
            on_step: is called after each step.

        Returns:
            How far training has come. `stopped` says why it ended and is empty where it has not;
            `best["value"]` is the objective at the best epoch, whose weights are loaded at the end.

        Raises:
            UserError: the loss is not finite.
            KeyboardInterrupt: after a checkpoint was written.
        """
        return self._training.run(epochs, on_epoch, on_step)

    def finish(self) -> Run:
        """Train what is left to train, and write all that makes a finished run.

        Returns:
            The run: its model and golden answers, predictions, measurements and report.
        """
        learner, folder = self.learner, self.folder
        position = self.fit()
        baselines = self.baselines()
        outputs = self._training.predictor(self._validation)
        learner.calibrate(self._truth, outputs)
        decoded = learner.decode(outputs)
        folder.write_model(learner.served())
        folder.write_arrays(folder.golden, to_arrays(golden_answers(learner, self._held_out)))
        folder.write_rows(folder.predictions, learner.predictions(self._held_out, decoded))
        best = position.best or {}
        metrics = {
            "examples": {
                "train": len(self._rows),
                "validation": len(self._held_out),
                "skipped": self._skipped,
            },
            "metrics": learner.measure(self._truth, decoded),
            "interval": bootstrap_interval(learner.measure, self._truth, decoded, seed=self._seed),
            "baselines": baselines,
            **measured_decoders(learner, self._truth, outputs),
            "cost": {
                "parameters": learner.model.count_params(),
                "ms_per_example": self._training.predictor.milliseconds(self._validation),
                "peak_memory_mb": round(peak_memory_mb(), 1),
                "size_mb": round(folder.model.stat().st_size / 1e6, 3),
            },
            "seconds": round(position.seconds, 1),
            "stopped": position.stopped,
            "best": {"epoch": best["epoch"], "step": best["total"]} if best else {},
        }
        folder.write_json(folder.metrics, metrics)
        finished = Run(folder.path)
        self._say(f"report: {finished.report()}")
        # Who leaves before the first process has finished would be taken for lost.
        self._distribution.wait()
        return finished


def describe(
    application: str,
    data: Any,
    validation: Any,
    columns: Mapping[str, str] | None,
    seed: int,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """What `config.json` says of a run, but for the fingerprint of its rows; arguments as there.

    Raises:
        UserError: application, settings or seed are none.
    """
    config = catalogue.load(application).Config.from_values(settings)
    if not 0 <= seed < 2**31:
        raise UserError(f"seed={seed}: give a whole number from 0 to {2**31 - 1}")
    return {
        "application": application,
        "config": config.to_dict(),
        "data": {
            "train": _name(data),
            "validation": None if validation is None else _name(validation),
        },
        "columns": dict(columns or {}),
        "seed": seed,
    }


def check_same(folder: RunFolder, about: Mapping[str, Any]) -> None:
    """Refuse to resume with other settings or other data than the run began with.

    Raises:
        UserError: says what differs.
    """
    folder.require_started()
    before = folder.about()
    for key in ("application", "seed", "columns", "fingerprint"):
        if key in about and before[key] != about[key]:
            raise UserError(
                f"{folder.path}: was started with {_other(key, before[key])}; resume with the same"
            )
    defaults = catalogue.load(about["application"]).Config.defaults()
    for key, value in about["config"].items():
        old = before["config"].get(key, defaults.get(key))
        if old != value and key not in _MAY_CHANGE:
            raise UserError(
                f"{folder.path}: was started with {key}={old}, not {value}; "
                "resume with the same settings"
            )


def _divide(
    learner: Application, rows: Examples, validation: Any, columns: Mapping[str, str] | None
) -> tuple[Examples, Examples, int]:
    """Checked training and validation rows, and how many were dropped."""
    checked = learner.check(rows, learning=True)
    if validation is None:
        training, held_out = split(
            checked, learner.config.validation_fraction, learner.seed, stratify=learner.stratify
        )
        return training, held_out, max(len(rows) - len(checked), 0)
    held_out = read(
        validation,
        learner.columns,
        rename=dict(columns or {}),
        sample=learner.sample,
        seed=learner.seed + 1,
    )
    return checked, held_out, max(len(rows) - len(checked), 0)


def _temporary_folder() -> Path:
    """A path for a run that nobody will look at, removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="run-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _silent(line: str) -> None:
    """Say nothing: the first process speaks for all."""


def _other(key: str, value: Any) -> str:
    return "other data" if key == "fingerprint" else f"{key} {value!r}"


def _name(source: Any) -> str:
    return str(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"


def fingerprint(*parts: Examples) -> str:
    """Digest of all values of some rows, by which a run knows its data again."""
    digest = hashlib.sha256()
    for part in parts:
        for name in sorted(part.columns):
            digest.update(name.encode())
            for value in part[name]:
                digest.update(str(value).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]
