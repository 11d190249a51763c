"""A training from a plan to a finished run, stoppable between epochs."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from apps import environment
from apps.errors import UserError
from apps.training.checkpoints import Position
from apps.training.distribution import Distribution, distribute
from apps.training.finish import write_finished_run
from apps.training.loop import Budget, Training
from apps.training.measuring import Metrics, baseline_metrics
from apps.training.plan import Plan
from apps.training.provenance import describe_environment
from apps.training.run_folder import RunFolder, new_run_folder
from apps.training.schedule import enough_epochs
from apps.training.sides import read_sides


class Session:
    """A training of an application, from its data to its finished run.

    Everything that comes before the first step is done on construction: data are read and checked,
    the model is built, and the run folder is made or found to be one that can be gone on with. A
    folder that was copied from another run of the same settings and data is as good as its own.

    Args:
        plan: application, settings, data and seed.
        minutes: budget of the run from here on, what earlier sessions have taken included; the
            learning rate falls to zero within it.
        anneal: whether it does; else it falls with the epochs alone, and `minutes` only end it.
        run: the run folder; named after application and time unless given.
        resume: go on with a run that was interrupted, from its start where it had not got as far
            as making its folder.
        log: takes progress lines; standard error unless given.
        strategy: `mirrored` for all devices of this process, `multiworker` for all processes that
            `TF_CONFIG` names, which must be asked for before TensorFlow does anything else; one
            device unless given. Each batch is shared among the devices. What `distribute` has
            made already is taken too.

    Attributes:
        application: the application, its model built.
        folder: the run folder; a temporary one in all processes but the first.

    Raises:
        UserError: settings, data or folder are at fault; nothing is left half-written.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        minutes: float | None = None,
        anneal: bool = True,
        run: str | os.PathLike[str] | None = None,
        resume: bool = False,
        log: Callable[[str], None] | None = None,
        strategy: str | Distribution | None = None,
    ) -> None:
        started = time.monotonic()
        if minutes is not None and not 0 < minutes < 1e6:
            raise UserError(f"minutes={minutes}: give a positive number of minutes")
        say = log or environment.say
        if plan.trains_each:
            raise UserError(
                "scope=each: a model of each series is trained by `train` alone; take "
                "scope=shared, or one series"
            )
        if not isinstance(strategy, Distribution):
            strategy = distribute(strategy, say)
        self._plan, self._distribution = plan, strategy
        self._say = say if strategy.chief else _silent
        self.folder = RunFolder(run or new_run_folder(plan.application))
        before = strategy.from_chief(lambda: self._goes_on() if resume else b"")
        going_on = bool(before)
        if going_on:
            self._plan = plan = plan.begun_with(json.loads(before))
        if not strategy.chief:
            self.folder = RunFolder(_temporary_folder())
        keras.utils.set_random_seed(plan.seed)
        self.application = application = plan.kind(plan.config, plan.seed)
        sides = read_sides(plan, application)
        fingerprint = plan.fingerprint(sides.training, sides.validation)
        self._clock = _Clock(started)
        self._clock.note("reading")
        self._check_data(fingerprint, going_on)
        self._units = application.input.units(sides.training)
        asked = plan.config.to_dict()
        if self._choose(application.settings_for(self._units)):
            self.application = application = plan.kind(self._plan.config, plan.seed)
        # Whatever is wrong with data or settings shows before anything is written.
        with strategy.scope():
            adaptation = application.compose(self._units)
            self._held_out, self._skipped = sides.usable(application)
        learnt = self._units if adaptation.training is None else adaptation.training
        truth = application.task.truth(self._held_out)
        self._validation = application.view(self._held_out)
        training = application.view(learnt, training=adaptation)
        self._clock.note("adapting")
        self._choose(enough_epochs(self._plan.config, training))
        application.configure(self._plan.config)
        self._open(fingerprint, going_on)
        if adaptation.assets:
            self.folder.write_arrays(self.folder.assets, adaptation.assets)
        config = self._plan.config.to_dict()
        if said := [f"{key}={config[key]}" for key in config if config[key] != asked[key]]:
            self._say(f"chosen for {len(self._units)} training rows: {', '.join(said)}")
        self._say(
            f"{len(self._units)} training rows, {len(self._held_out)} validation rows, "
            f"{self._skipped} skipped ({application.passed_over})"
        )
        self._baselines: dict[str, Metrics] | None = None
        self._training = Training(
            application,
            training,
            self._validation,
            truth,
            self.folder,
            Budget(started, minutes, anneal=anneal),
            self._say,
            strategy,
        )

    def _goes_on(self) -> bytes:
        """The settings of a run to go on with, found to be the same; nothing if there is none."""
        if not self.folder.unbegun():
            self._plan.require_same(self.folder)
            return json.dumps(self.folder.about()["config"]).encode()
        self._say(
            f"{self.folder.path}: holds nothing to go on from; training starts from the beginning"
        )
        return b""

    def _choose(self, settings: Mapping[str, Any]) -> bool:
        """Take what suits the data where the user has left it open; tells whether that differs."""
        before = self._plan.config
        self._plan = self._plan.choosing(settings)
        return self._plan.config != before

    def _check_data(self, fingerprint: str, going_on: bool) -> None:
        """Refuse rows that are not those of the first process, or those the run began with."""

        def chiefs() -> bytes:
            if going_on:
                self._plan.require_same(self.folder, fingerprint)
            return fingerprint.encode()

        differs = self._distribution.from_chief(chiefs) != fingerprint.encode()
        if any(self._distribution.agreed(differs)):
            raise UserError("the processes of this training read different data; give all the same")

    def _open(self, fingerprint: str, going_on: bool) -> None:
        about = {**self._plan.describe(), "fingerprint": fingerprint}

        def open_own() -> bytes:
            if going_on and self._distribution.chief:
                self.folder.sweep()
            else:
                surroundings = describe_environment(self._plan.seed)
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
        served = self.application.served
        return {
            "parameters": self.application.inference().count_params(),
            "latency_ms": self._training.predictor.milliseconds(self._validation),
            "size_mb": sum(weight.numpy().nbytes for weight in served.weights) / 1e6,
        }

    def baselines(self) -> dict[str, Metrics]:
        """Metrics of each baseline on the validation rows, by name.

        Each is fitted once and kept in the run folder.
        """
        if self._baselines is None:
            self._baselines = {}
            for name, baseline in self.application.baselines().items():
                file = self.folder.baselines / f"{name}.npz"
                if file.is_file():
                    baseline.restore(self.folder.read_arrays(file))
                else:
                    baseline.fit(self._units)
                    self.folder.write_arrays(file, baseline.state())
                metrics = baseline_metrics(self.application.task, baseline, self._held_out)
                self._baselines[name] = metrics
                objective = self.application.objective
                self._say(f"baseline {name}: {objective} {_written(metrics[objective])}")
            self._clock.note("baselines")
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

    def finish(self) -> Path:
        """Train what is left to train, and write all that makes a finished run.

        Returns:
            The run folder.
        """
        self._say(f"before the first step: {self._clock}")
        position = self.fit()
        report = write_finished_run(
            self.folder,
            self.application,
            self._training,
            self._held_out,
            position,
            baselines=self.baselines(),
            examples={
                "train": len(self._units),
                "validation": len(self._held_out),
                "skipped": self._skipped,
            },
        )
        self._say(f"report: {report}")
        # The other processes would take this one for lost if it left before the first is done.
        self._distribution.wait()
        return self.folder.path


class _Clock:
    """The seconds that each part of the preparation took."""

    def __init__(self, started: float) -> None:
        self._last = started
        self._parts: dict[str, float] = {}

    def note(self, part: str) -> None:
        """Give the time since the last note to a part."""
        now = time.monotonic()
        self._parts[part], self._last = now - self._last, now

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.0f}" for name, seconds in self._parts.items())
        return f"{sum(self._parts.values()):.0f} s ({parts})"


def _written(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _temporary_folder() -> Path:
    """A path for a run that nobody will look at, removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="run-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _silent(line: str) -> None:
    """Say nothing: the first process speaks for all."""
