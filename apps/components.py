"""What an application is composed of: an input, a task, and the baselines beside it.

An input says what a user hands in; a task says what is asked of it. Both are declared once in the
class of an application and know nothing of one another. For each training they are bound to its
config, its seed and `adapted`, the layers that were made from the training rows.
"""

from __future__ import annotations

import copy
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf

from apps.configuration import ApplicationConfig, Options
from apps.data import Column, Examples, split
from apps.data.sequences import Stored, fetched
from apps.errors import UserError
from apps.following import Chunk, Follower
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.signatures import Signature

# Rows that a baseline answers at one time.
_ROWS = 4096

Tensors = Mapping[str, Any]
# A model's outputs: one tensor, or several by name.
Outputs = Any


class Baseline(ABC):
    """A naive competitor, fitted on the same rows and measured in the same way.

    Its state is arrays without pickled objects, so that a run folder carries it without the data.
    """

    @abstractmethod
    def fit(self, examples: Examples) -> None:
        """Learn from the training rows."""

    @abstractmethod
    def predict(self, examples: Examples) -> Any:
        """What the task's `statistics` takes as answers, one entry a row."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs; object arrays are not allowed."""

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave."""


class Component:
    """What inputs and tasks have in common.

    Attributes:
        columns: what a row of a user's data holds for it, by name.
        config: the hyperparameters; None until it is bound.
        seed: seeds whatever it draws.
        adapted: layers made from the training rows, by name.
        passed_over: what is said of rows that `check` drops.
    """

    columns: Mapping[str, Column]
    passed_over: str = ""
    config: Any = None
    seed: int = 0
    adapted: Mapping[str, keras.layers.Layer]

    def bound(
        self, config: ApplicationConfig, seed: int, adapted: Mapping[str, keras.layers.Layer]
    ) -> Self:
        """A copy of it for one training."""
        own = copy.copy(self)
        own.config, own.seed, own.adapted = config, seed, adapted
        return own

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """The usable rows.

        Args:
            examples: rows as they were read.
            learning: whether the model will learn from them; if not, what the trained model cannot
                be measured on (a label it never saw, say) is an error.

        Returns:
            The rows to use.

        Raises:
            UserError: rows that no model can be trained or measured on, with place and remedy.
        """
        return examples

    def adapt(self, examples: Examples) -> Mapping[str, keras.layers.Layer]:
        """Layers made from the training rows, by the names that they are found by again."""
        return {}

    def metadata(self) -> dict[str, Any]:
        """What a client must know to send raw inputs and to read answers; JSON values by name."""
        return {}


class PageField(ABC):
    """What the page in a browser offers for an input.

    Attributes:
        signature: the entry point that takes what `read` gives.
    """

    signature = "serving_default"

    @abstractmethod
    def make(self, name: str) -> Any:
        """The Gradio component for an input of that name."""

    @abstractmethod
    def read(self, name: str, value: Any) -> Any:
        """The value that a client sends, from that of the component.

        Raises:
            UserError: nothing was entered, or it cannot be read.
        """


class Input(Component, ABC):
    """What a user hands in.

    Attributes:
        attributes: columns that say more of a row, such as who speaks; none is required.
        page_field: what the page offers for it; a box for text or JSON where it is None.
        stream_options: what `stream` may be told of how chunks are cut; its docstring is the help.
    """

    attributes: Mapping[str, Column] = {}
    page_field: ClassVar[PageField | None] = None
    stream_options: ClassVar[type[Options]] = Options

    def split(
        self, examples: Examples, fraction: float, stratify: str | None
    ) -> tuple[Examples, Examples]:
        """Training and validation rows.

        Args:
            examples: checked rows.
            fraction: share that validation gets, between 0 and 1.
            stratify: column whose values both sides hold in like proportion, where there is one.

        Raises:
            UserError: the rows cannot be divided.
        """
        return split(examples, fraction, self.seed, stratify=stratify)

    def units(self, examples: Examples) -> Examples:
        """What counts once: the rows themselves, or what is cut from them, such as windows.

        Args:
            examples: checked rows of one side.

        Returns:
            One row a unit. Units that share a value of a column `block` are drawn together by the
            bootstrap.
        """
        return examples

    @abstractmethod
    def tensors(self, examples: Examples) -> dict[str, Stored | np.ndarray]:
        """The model's inputs for some units, made outside the graph.

        Returns:
            Columns as the view `Rows` takes them: the first sequence is the main one.
        """

    @abstractmethod
    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        """Symbolic inputs of what a client sends, by name."""

    def prepare(self, raw: Tensors) -> dict[str, Any]:
        """The model's inputs from raw ones, inside the graph; the same values as `tensors`."""
        return dict(raw)

    @abstractmethod
    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Units as a client sends them.

        Args:
            examples: with the input's own columns.
            metadata: what the model says of itself; nothing else may be needed.
        """

    @abstractmethod
    def edge_cases(self) -> dict[str, np.ndarray]:
        """Raw inputs at the edge of what is answered: empty, odd characters, silence."""

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """Further entry points, such as one that takes files.

        Args:
            serving: the entry point for raw input.
        """
        return {}

    def chunks(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: Any
    ) -> Iterable[Chunk]:
        """Cut a file, or what comes from standard input, into chunks of a stream.

        Args:
            source: a file, which is opened at once, or standard input, whose `read` gives what
                there is.
            metadata: what the model says of itself; nothing else may be needed.
            options: `stream_options`.

        Raises:
            UserError: the source cannot be read, or nothing streams.
        """
        raise UserError(f"{type(self).__name__} cannot be read as a stream; use `apps predict`")

    @abstractmethod
    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        """What a report shows of each unit: `input`, and more by name; JSON values."""

    def add_evidence(
        self,
        rows: Sequence[MutableMapping[str, Any]],
        examples: Examples,
        track: Callable[[Examples], Mapping[str, Any]] | None,
    ) -> None:
        """Give rows of `predictions.jsonl` what the report shows of a few of them, in place.

        Args:
            rows: finished rows.
            examples: the units, in the same order.
            track: what the application can show of one unit; None where it can show nothing.
        """


class Task(Component, ABC):
    """What is asked of an input.

    Attributes:
        metrics: what it measures, the most important first.
        objective: name of the metric by which early stopping and tuning choose.
        stratify: column whose values both sides of a split hold in like proportion.
        aligned: targets with one entry for each step of the input's main sequence.
        stream_options: what `stream` may be told of how decisions are made.
        answers_are_shares: whether `headline` gives a share for each of several names.
    """

    answers_are_shares: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]]
    objective: ClassVar[str]
    stratify: str | None = None
    aligned: tuple[str, ...] = ()
    stream_options: ClassVar[type[Options]] = Options

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the outputs, where answers are classes."""
        return ()

    @abstractmethod
    def targets(self, examples: Examples) -> dict[str, Stored | np.ndarray]:
        """What the loss compares outputs with, one entry a unit."""

    def truth(self, examples: Examples) -> np.ndarray | None:
        """What is measured against beside the targets, such as texts, `(units,)`; often nothing."""
        return None

    @abstractmethod
    def loss(self, batch: Tensors, outputs: Outputs) -> tf.Tensor:
        """Mean loss of a batch, a scalar in nats or in squared units of the target.

        Args:
            batch: inputs, targets and lengths by name.
            outputs: of the model.
        """

    @abstractmethod
    def answers(self, outputs: Outputs) -> dict[str, Any]:
        """Named answers from the model's outputs, inside the graph; `apps.answers` reads them."""

    def answered(self, outputs: Outputs, answer: Callable[[], Mapping[str, np.ndarray]]) -> Any:
        """What `statistics` compares with the truth: the outputs, unless a search makes answers.

        Args:
            outputs: of the model, as arrays.
            answer: gives what `answers` makes of them, as arrays.
        """
        return outputs

    def provisional(self, outputs: Outputs) -> Any:
        """The same after an epoch of training, when no search that takes long is run."""
        return outputs

    def decoders(self) -> dict[str, Callable[[Outputs], Any]]:
        """Other ways to make answers of outputs, to be measured beside, by name."""
        return {}

    @abstractmethod
    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        """A few numbers for each unit of a batch, from which `measure` makes the metrics.

        Args:
            batch: targets by name, and `truth` where the task has one.
            answered: as `answered`, `provisional`, a decoder or a baseline gives it.

        Returns:
            Arrays `(units, …)` that do not grow with the size of an output: only they are kept.
        """

    def statistics_of(self, baseline: Baseline, units: Examples) -> dict[str, np.ndarray]:
        """The statistics of all units for what a baseline answers."""
        targets, truth = self.targets(units), self.truth(units)
        found = []
        for start in range(0, len(units), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(units)))
            batch = fetched(targets, rows)
            if truth is not None:
                batch["truth"] = truth[rows]
            found.append(self.statistics(batch, baseline.predict(units.select(rows))))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    @abstractmethod
    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The metrics by name, from the statistics of any units; a rate is a fraction."""

    def calibrate(self, outputs: Sequence[Outputs], truth: np.ndarray | None) -> None:
        """Choose by validation units what is chosen when the weights are final; often nothing.

        Args:
            outputs: of the final model, batch by batch, of at most 300 units.
            truth: of those units, in that order.
        """

    def baselines(self) -> dict[str, Baseline]:
        """What the model must beat, by name, not yet fitted."""
        return {}

    @abstractmethod
    def shown(self, examples: Examples) -> list[Any]:
        """The truth of each unit as a report shows it; JSON values."""

    def headline(self, answer: Mapping[str, Any]) -> Any:
        """What a person wants to see first of an answer: a text, or shares by name."""
        return None

    def kept(self, answer: Mapping[str, Any], truth: Any) -> Mapping[str, Any]:
        """As much of an answer as `predictions.jsonl` holds for a report."""
        return answer

    def follower(
        self, metadata: Mapping[str, Any], labels: Sequence[str], options: Any
    ) -> Follower:
        """What draws decisions from the answers to one stream.

        Args:
            metadata: what the model says of itself; nothing else may be needed.
            labels: the names of the classes, where answers are classes.
            options: `stream_options`.

        Raises:
            UserError: options that contradict each other, or nothing follows a stream.
        """
        raise UserError(f"{type(self).__name__} follows no streams; use `apps predict`")

    def named(self, answers: dict[str, Any]) -> dict[str, Any]:
        """Answers of a step of a stream with the texts that a client reads them by."""
        return answers

    @abstractmethod
    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        """The task's part of a report, from the rows of `predictions.jsonl`."""

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """Further entry points; `serving` is that for raw input."""
        return {}

    @classmethod
    def metric(cls, name: str) -> Metric:
        """The metric of a name."""
        return next(metric for metric in cls.metrics if metric.name == name)


@dataclass(frozen=True)
class Adaptation:
    """What `adapt` made.

    Attributes:
        layers: by the names that they are found by again.
        training: the units to learn from where they are not those given, such as with generated
            ones among them.
        columns: arrays by name, one entry a unit to learn from, that only training has;
            `forward` reads them from the batch.
    """

    layers: Mapping[str, keras.layers.Layer]
    training: Examples | None = None
    columns: Mapping[str, Stored | np.ndarray] = field(default_factory=dict)


__all__ = [
    "Adaptation",
    "Baseline",
    "Component",
    "Input",
    "Outputs",
    "Task",
    "Tensors",
]
