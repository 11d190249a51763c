"""The contract: all that the rest of the package knows of an application.

An application declares an input, a task and a config, and says how its model is made. Everything
else has a default here. Training, evaluation, tuning, export, streams and the command line use
these methods and no others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf

from apps.components import (
    Adaptation,
    Baseline,
    Batches,
    Input,
    Outputs,
    Pace,
    Shortcut,
    Task,
    Tensors,
)
from apps.composition import TENSORS, layers_of, served_model, served_tensors, try_edge_cases
from apps.configuration import ApplicationConfig
from apps.data import Column, Examples, Rows, View
from apps.data.kinds.group import group
from apps.errors import UserError, nearest
from apps.layers.kernels.dispatch import for_this_process
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.signatures import STATE, Signature, named_specs


class Tiny(NamedTuple):
    """The rows and settings with which the contract test trains an application in seconds."""

    examples: Examples
    settings: Mapping[str, Any]


class Application(ABC):
    """One task that an LSTM is trained for.

    Attributes:
        name: the name on the command line.
        input: what a user hands in; an instance has its own, bound to its config.
        task: what the model is asked about it; an instance has its own, bound to its config.
        Config: the dataclass of its hyperparameters.
        objective: name of the metric by which early stopping and tuning choose; the task's where it
            is empty. In an instance, the config may name another.
        config: the hyperparameters of this instance.
        seed: seeds weights, dropout, data order and splits.
        adapted: layers made from the training rows, by name; they travel inside the model.
        model: the Keras model on prepared tensors, once `compose` has been called.
    """

    name: ClassVar[str]
    input: Input
    task: Task
    Config: ClassVar[type[ApplicationConfig]]
    objective: str = ""
    model: keras.Model

    def __init__(self, config: ApplicationConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        self.adapted: dict[str, keras.layers.Layer] = {}
        self.input = type(self).input.bound(config, seed, self.adapted)
        self.task = type(self).task.bound(config, seed, self.adapted)
        chosen = config.objective or type(self).objective
        self.objective = self.checked_objective(chosen or self.task.objective)

    # Every application defines these

    @classmethod
    @abstractmethod
    def sample(cls, seed: int) -> Examples:
        """The built-in sample, generated on the spot."""

    @abstractmethod
    def build(self) -> keras.Model:
        """A freshly initialised Keras model from prepared tensors to outputs.

        Its inputs are named like the arrays of a batch. Several outputs form a dict by name; those
        named `state_…` are carried to the next batch where the view carries state.
        """

    def adapt(self, examples: Examples) -> Mapping[str, keras.layers.Layer] | Adaptation:
        """Make layers from the training units; keys are the names of the layers.

        `build`, `input.prepare` or `task.answers` must use each layer, so that the model's file
        holds it. It replaces a layer of the same name that the input or the task has made.
        """
        return {}

    @classmethod
    def tiny(cls) -> Tiny:
        """A training that takes seconds, for the contract test."""
        return Tiny(cls.sample(0).select(range(120)), {"epochs": 3, "batch_size": 16})

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        """Hyperparameters that suit these training units better than the defaults of the Config.

        Such as a smaller model and more dropout where they are few. What the user sets counts more,
        and stands in `config` already.
        """
        return {}

    # Few applications override these

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """The usable rows among a user's; arguments and errors are those of `Component.check`.

        Rows without the task's columns are checked as input only.
        """
        usable = self.input.check(examples, learning=learning)
        if learning or all(name in usable for name in self.task.columns):
            usable = self.task.check(usable, learning=learning)
        return usable

    def view(
        self,
        units: Examples,
        *,
        targets: bool = True,
        training: Adaptation | None = None,
    ) -> View:
        """The view from which batches are drawn.

        Args:
            units: as `input.units` gives them.
            targets: whether the loss or a metric will be computed.
            training: what `adapt` made, if these are the units to train on; else None.
        """
        ready = training.tensors if training else None
        found = dict(self.input.tensors(units) if ready is None else ready)
        if targets:
            found |= self.task.targets(units)
        if training:
            found |= training.columns
        aligned = [name for name in self.input.aligned if name in found]
        aligned += self.task.aligned if targets else ()
        return Rows(found, aligned, alike=self.task.alike)

    def forward(self, batch: Tensors) -> Outputs:
        """The outputs that the loss is computed from: the model in training mode on a batch."""
        inputs = {tensor.name: batch[tensor.name] for tensor in self.model.inputs}
        return self.model(inputs, training=True)

    def inference(self) -> keras.Model:
        """The model that answers and is measured; it takes what `input.prepare` gives.

        It is `model`, unless training needs inputs that inference does without; then it shares the
        layers of `model`.
        """
        return self.model

    def paces(self) -> Sequence[Pace]:
        """Layers of `model` that begin to learn later or learn more slowly than the others."""
        return ()

    def shortcut(self) -> Shortcut | None:
        """A way around layers that are not trainable at the moment, None where there is none.

        Training asks for it at its beginning and whenever more layers begin to learn; `forward`
        then gets batches of its view.
        """
        return None

    def loss(self, batch: Tensors, outputs: Outputs) -> tf.Tensor:
        """Mean loss of a batch, a scalar."""
        return self.task.loss(batch, outputs)

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:  # noqa: B027
        """Choose on validation units what is set when the weights are final; often nothing.

        Args:
            held_out: gives a model's outputs, it taking what `inference` takes, for at most so many
                validation units, evenly spread.
        """

    def baselines(self) -> dict[str, Baseline]:
        """The baselines that the model must beat, by name, not yet fitted."""
        return self.task.baselines()

    def metadata(self) -> dict[str, Any]:
        """What a client must know besides the labels; JSON values by name."""
        return {**self.input.metadata(), **self.task.metadata()}

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        """States of `step` by name, `state_…`; they start as zeros. Empty where nothing streams."""
        return {}

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        """The tensors of a chunk of a stream, by name: raw input unless overridden."""
        return named_specs(self.input.raw_inputs().values())

    def small_chunk(self) -> dict[str, tf.TensorSpec]:
        """The tensors of a chunk by name on a device that takes chunks of one size: of one step."""
        specs = self.stream_inputs().items()
        return {n: tf.TensorSpec([axis or 1 for axis in s.shape], s.dtype, n) for n, s in specs}

    def small_states(self) -> dict[str, tf.TensorSpec]:
        """States of `small_step` by name; those of `step` unless overridden."""
        return self.stream_states()

    def small_step(self, **chunk_and_states: Any) -> dict[str, Any]:
        """What a device without texts can answer of a chunk; `step` unless overridden."""
        return self.step(**chunk_and_states)

    def step(self, **chunk_and_states: Any) -> dict[str, Any]:
        """Answers for a chunk, and the states for the next one under their names."""
        raise NotImplementedError(f"{self.name} does not read streams")

    def no_stream(self) -> str:
        """Why the application reads no streams, and the remedy; for an empty `stream_states`."""
        if type(self).step is Application.step:
            return f"{self.name} reads no streams; give it whole inputs with `apps predict`"
        if getattr(self.config, "bidirectional", False):
            return (
                "its LSTM runs in both directions and so needs the whole of an input; train with "
                "--set bidirectional=false"
            )
        return f"this model of {self.name} was trained so that it reads no streams"

    def track(self, example: Examples) -> Mapping[str, Any]:
        """What the report can show of how the model reads one unit; nothing unless overridden."""
        return {}

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        """The application's part of the report, from the rows of `predictions.jsonl`."""
        return self.task.sections(rows)

    # The same for every application

    def configure(self, config: ApplicationConfig) -> None:
        """Take other hyperparameters, which neither layers nor rows that exist depend on."""
        self.config = self.input.config = self.task.config = config

    @classmethod
    def columns(cls) -> dict[str, Column]:
        """The columns of a user's data, in the order in which tuples give them."""
        rest = {"group": group()}
        return {**cls.input.columns, **cls.task.columns, **cls.input.attributes, **rest}

    @classmethod
    def checked_objective(cls, name: str) -> str:
        """The name, if it is that of a metric to choose by.

        Raises:
            UserError: the task has no such metric, or neither higher nor lower is better.
        """
        directed = [metric.name for metric in cls.task.metrics if metric.better != "neither"]
        if name not in directed:
            raise UserError(f"objective {name}: not a metric to choose by{nearest(name, directed)}")
        return name

    @property
    def passed_over(self) -> str:
        """The phrase that describes rows that `check` drops."""
        said = [part.passed_over for part in (self.input, self.task) if part.passed_over]
        return " or ".join(said) or "unusable"

    @property
    def judge(self) -> Metric:
        """The metric by which epochs are compared."""
        return self.task.metric(self.objective)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the outputs, where answers are classes."""
        return self.task.labels

    def compose(self, examples: Examples) -> Adaptation:
        """Adapt input, task and application to training units, and build the model.

        Args:
            examples: the training units.

        Returns:
            The layers that were made, and the units to train on.
        """
        self.adapted.update(self.input.adapt(examples))
        self.adapted.update(self.task.adapt(examples))
        made = self.adapt(examples)
        adaptation = made if isinstance(made, Adaptation) else Adaptation(made)
        self.adapted.update(adaptation.layers)
        self.__dict__.pop("served", None)
        with for_this_process():
            self.model = self.build()
        self.inference().name = TENSORS
        # Here, so that a layer that would be lost is named before the training, not after it.
        _ = self.served
        try_edge_cases(self.name, self.input, self.inference())
        return adaptation

    @cached_property
    def served(self) -> keras.Model:
        """The model that is saved: raw input to named answers, every adapted layer inside."""
        model = self.inference()
        return served_model(self.name, self.input, self.task, model, self.adapted)

    @classmethod
    def restored(cls, config: ApplicationConfig, seed: int, served: keras.Model) -> Self:
        """The application of a run, restored from its served model."""
        application = cls(config, seed)
        application.adapted.update(layers_of(served))
        application.model = served_tensors(served)
        application.__dict__["served"] = served
        return application

    @classmethod
    def untrained(cls) -> Self:
        """The application with default hyperparameters, adapted to its sample, not trained."""
        application = cls(cls.Config())
        checked = application.check(cls.sample(0), learning=True)
        application.compose(application.input.units(checked))
        return application

    def raw(self, units: Examples) -> dict[str, np.ndarray]:
        """Units as a client sends them."""
        return self.input.raw(units, self.metadata())

    def predictions(
        self, units: Examples, answers: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Rows of `predictions.jsonl`: `place`, `input`, `truth` and the answer of each unit."""
        about = zip(
            units.places, self.input.shown(units), self.task.shown(units), answers, strict=True
        )
        rows = [
            {"place": place, "input": "", "truth": truth, **given, **self.task.kept(answer, truth)}
            for place, given, truth, answer in about
        ]
        overridden = type(self).track is not Application.track
        self.input.add_evidence(rows, units, self.track if overridden else None)
        return rows

    def signatures(self) -> dict[str, Signature]:
        """The entry points of the SavedModel, by name.

        Returns:
            `serving_default` takes raw input and gives named answers; `tensors` takes prepared
            tensors with explicit lengths and gives the model's outputs; `step`, where there are
            streams, takes a chunk and states and gives answers and the next states; and those of
            input and task.
        """
        served, model = self.served, served_tensors(self.served)
        raw = named_specs(self.input.raw_inputs().values())
        prepared = named_specs(model.inputs)

        def serve(*values: tf.Tensor) -> dict[str, tf.Tensor]:
            return served(dict(zip(raw, values, strict=True)), training=False)

        def infer(*values: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = model(dict(zip(prepared, values, strict=True)), training=False)
            return outputs if isinstance(outputs, dict) else {"outputs": outputs}

        serving = Signature(raw, serve)
        found = {self.input.entry: serving, TENSORS: Signature(prepared, infer)}
        states = self.stream_states()
        if states:
            named = {name: _named(name, spec) for name, spec in states.items()}
            taken = {**self.stream_inputs(), **named}

            def step(*values: tf.Tensor) -> dict[str, tf.Tensor]:
                given = dict(zip(taken, values, strict=True))
                return self.task.named(self.step(**given))

            found["step"] = Signature(taken, step)
        return {**found, **self.input.signatures(serving), **self.task.signatures(serving)}


def _named(name: str, spec: tf.TensorSpec) -> tf.TensorSpec:
    if not name.startswith(STATE):
        raise ValueError(f"state '{name}': its name must begin with {STATE}")
    return tf.TensorSpec(spec.shape, spec.dtype, name=name)
