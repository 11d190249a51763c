"""The parts of an application: an input, a task, and baselines to compare with.

An input says what a user hands in; a task says what the model is asked about it. Both are declared
once in the class of an application and know nothing of one another. For each training they are
bound to its config, its seed and `adapted`, the layers made from the training rows.
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
from apps.data.views.rows import LENGTHS
from apps.errors import UserError
from apps.following import Chunk, Follower
from apps.page_field import PageField
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.signatures import Signature

# Rows to validate on: an accuracy of 0.9 is known to 0.002 by them, and each epoch waits for them.
_MOST_HELD_OUT = 20_000
# Rows that a baseline answers at once.
_ROWS = 4096

Tensors = Mapping[str, Any]
# A model's outputs: one tensor, or several by name.
Outputs = Any
# Batches of units as arrays by name, targets, lengths and `truth` among them, each with a model's
# outputs for it.
Batches = Sequence[tuple[Mapping[str, np.ndarray], Outputs]]


class Baseline(ABC):
    """A naive competitor, fitted on the same rows and measured in the same way.

    Its state consists of arrays without pickled objects, so that a run folder can hold it without
    the training data.
    """

    @abstractmethod
    def fit(self, examples: Examples) -> None:
        """Learn from the training rows."""

    @abstractmethod
    def predict(self, examples: Examples) -> Any:
        """Answers as the task's `statistics` takes them, one entry per row."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs; object arrays are not allowed."""

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the fitted baseline from what `state` gave."""


class Component:
    """What inputs and tasks have in common.

    Attributes:
        columns: the columns of a user's data that it reads, by name.
        config: the hyperparameters; None until it is bound.
        seed: seeds whatever it draws.
        adapted: layers made from the training rows, by name.
        passed_over: the phrase that describes rows that `check` drops.
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
            learning: whether the model will train on them; if not, rows that the trained model
                cannot be measured on (such as a label it never saw) are an error.

        Returns:
            The rows to use.

        Raises:
            UserError: rows that no model can be trained or measured on, with place and remedy.
        """
        return examples

    def adapt(self, examples: Examples) -> Mapping[str, keras.layers.Layer]:
        """Make layers from the training rows; keys are the names of the layers."""
        return {}

    def metadata(self) -> dict[str, Any]:
        """What a client must know to send raw inputs and to read answers; JSON values by name."""
        return {}


class Input(Component, ABC):
    """What a user hands in.

    Attributes:
        attributes: optional columns that describe a row further, such as its speaker.
        aligned: tensors with one entry for each step of the main sequence.
        page_field: its field on the browser page; None for a box that takes text or JSON.
        stream_options: options of `stream` on how chunks are cut; its docstring is the help.
    """

    attributes: Mapping[str, Column] = {}
    aligned: tuple[str, ...] = ()
    page_field: ClassVar[PageField | None] = None
    stream_options: ClassVar[type[Options]] = Options

    def split(
        self, examples: Examples, fraction: float, stratify: str | None
    ) -> tuple[Examples, Examples]:
        """Training and validation rows.

        Args:
            examples: checked rows.
            fraction: share that validation gets, between 0 and 1; less where rows are very many.
            stratify: column whose values have the same proportions on both sides, where there is
                one.

        Raises:
            UserError: the rows cannot be divided.
        """
        fraction = min(fraction, _MOST_HELD_OUT / max(len(examples), 1))
        return split(examples, fraction, self.seed, stratify=stratify)

    def units(self, examples: Examples) -> Examples:
        """The units that metrics count: the rows themselves, or what is cut from them (windows).

        Args:
            examples: checked rows of one side.

        Returns:
            One row per unit. The bootstrap draws units with the same value in a column `block`
            together.
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
        """Symbolic inputs for what a client sends, by name."""

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
        """Raw inputs at the edge of what a model answers: empty, odd characters, silence."""

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """Further entry points, such as one that takes files.

        Args:
            serving: the entry point for raw input.
        """
        return {}

    def chunks(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: Any
    ) -> Iterable[Chunk]:
        """Cut a file or standard input into chunks of a stream.

        Args:
            source: a file, which is opened at once, or standard input, whose `read` returns what
                has arrived so far.
            metadata: what the model says of itself; nothing else may be needed.
            options: `stream_options`.

        Raises:
            UserError: the source cannot be read, or this input does not stream.
        """
        raise UserError(f"{type(self).__name__} cannot be read as a stream; use `apps predict`")

    @abstractmethod
    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        """What a report shows of each unit: `input` and further JSON values, by name."""

    def add_evidence(
        self,
        rows: Sequence[MutableMapping[str, Any]],
        examples: Examples,
        track: Callable[[Examples], Mapping[str, Any]] | None,
    ) -> None:
        """Add to a few rows of `predictions.jsonl`, in place, what the report shows of them.

        Args:
            rows: finished rows.
            examples: the units, in the same order.
            track: gives what the application can show of one unit; None where it can show nothing.
        """


class Task(Component, ABC):
    """What the model is asked about an input.

    Attributes:
        metrics: what it measures, the most important first.
        objective: name of the metric by which early stopping and tuning choose.
        stratify: column whose values have the same proportions on both sides of a split.
        aligned: targets with one entry for each step of the input's main sequence.
        calibration_units: so many validation units are given to `calibrate`, the first ones.
        stream_options: options of `stream` on how decisions are made.
        headline: name of the answer that a person wants to see first: a text, shares by name, or a
            list of spans of the text that was sent.
    """

    calibration_units: ClassVar[int] = 300
    headline: ClassVar[str] = ""
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
        """Truth that metrics need besides the targets, such as texts, `(units,)`; often None."""
        return None

    @abstractmethod
    def loss(self, batch: Tensors, outputs: Outputs) -> tf.Tensor:
        """Mean loss of a batch, a scalar in nats or in squared units of the target.

        Args:
            batch: inputs, targets and lengths by name.
            outputs: of the model.
        """

    @abstractmethod
    def answers(self, outputs: Outputs, inputs: Tensors) -> dict[str, Any]:
        """Named answers from the model's outputs, inside the graph; `apps.answers` reads them.

        Args:
            outputs: of the model.
            inputs: what `Input.prepare` gave, lengths included.
        """

    def answered(self, outputs: Outputs, answer: Callable[[], Mapping[str, np.ndarray]]) -> Any:
        """What `statistics` compares with the truth: the outputs, or what a search makes of them.

        Args:
            outputs: of the model, as arrays.
            answer: runs `answers` on them and gives arrays.
        """
        return outputs

    def provisional(self, outputs: Outputs) -> Any:
        """The same after each epoch of training, when a slow search would cost too much."""
        return outputs

    def decoders(self) -> dict[str, Callable[[Outputs], Any]]:
        """Further ways to decode outputs, by name, which are measured beside the main one."""
        return {}

    @abstractmethod
    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        """A few numbers for each unit of a batch, from which `measure` makes the metrics.

        Args:
            batch: targets by name, and `truth` where the task has one.
            answered: as `answered`, `provisional`, a decoder or a baseline gives it.

        Returns:
            Arrays `(units, …)` whose size does not grow with that of an output, since they are kept
            for all units.
        """

    def statistics_of(self, baseline: Baseline, units: Examples) -> dict[str, np.ndarray]:
        """The statistics of a baseline's answers to all units."""
        targets, truth = self.targets(units), self.truth(units)
        found = []
        for start in range(0, len(units), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(units)))
            batch = self._fetched(targets, rows)
            if truth is not None:
                batch["truth"] = truth[rows]
            found.append(self.statistics(batch, baseline.predict(units.select(rows))))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def _fetched(
        self, targets: Mapping[str, Stored | np.ndarray], rows: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Targets of some units with the lengths that they have in a batch of the view."""
        batch = fetched(targets, rows)
        for name, column in targets.items():
            if not isinstance(column, np.ndarray) and column.lengths is not None:
                own = LENGTHS if name in self.aligned else f"{name}_{LENGTHS}"
                batch[own] = column.lengths[rows].astype(np.int32)
        return batch

    @abstractmethod
    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The metrics by name, from the statistics of any units; a rate is a fraction."""

    def by_class(self, statistics: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """Figures of each class by name, where the task tells them apart; often nothing."""
        return {}

    def calibrate(self, batches: Batches) -> None:
        """Choose on validation units what is set after the weights are final; often nothing.

        Args:
            batches: at most `calibration_units`, and what the final model puts out for them.
        """

    def baselines(self) -> dict[str, Baseline]:
        """The baselines that the model must beat, by name, not yet fitted."""
        return {}

    @abstractmethod
    def shown(self, examples: Examples) -> list[Any]:
        """The truth of each unit as a report shows it; JSON values."""

    def kept(self, answer: Mapping[str, Any], truth: Any) -> Mapping[str, Any]:
        """The part of an answer that `predictions.jsonl` keeps for a report."""
        return answer

    def follower(
        self, metadata: Mapping[str, Any], labels: Sequence[str], options: Any
    ) -> Follower:
        """The follower that draws decisions from the answers to one stream.

        Args:
            metadata: what the model says of itself; nothing else may be needed.
            labels: the names of the classes, where answers are classes.
            options: `stream_options`.

        Raises:
            UserError: the options contradict each other, or the task does not follow streams.
        """
        raise UserError(f"{type(self).__name__} follows no streams; use `apps predict`")

    def named(self, answers: dict[str, Any]) -> dict[str, Any]:
        """The answers of `step`, with the texts added that a client needs to read them."""
        return answers

    @abstractmethod
    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        """The task's part of a report, from the rows of `predictions.jsonl`."""

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """Further entry points; `serving` is the one for raw input."""
        return {}

    @classmethod
    def metric(cls, name: str) -> Metric:
        """The metric of that name."""
        return next(metric for metric in cls.metrics if metric.name == name)


@dataclass(frozen=True)
class Adaptation:
    """What `adapt` made.

    Attributes:
        layers: the layers by name.
        training: the units to train on where they differ from those given, for example with
            generated ones added.
        columns: arrays by name, one entry per training unit, that only training has; `forward`
            reads them from the batch.
        tensors: what the input's `tensors` would give for the units to train on, where it is there
            already and would take long to make again.
    """

    layers: Mapping[str, keras.layers.Layer]
    training: Examples | None = None
    columns: Mapping[str, Stored | np.ndarray] = field(default_factory=dict)
    tensors: Mapping[str, Stored | np.ndarray] | None = None
