"""What a model is asked about an input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from apps.components.baseline import Baseline
from apps.components.component import Component, Tensors
from apps.configuration import Options
from apps.data import Examples
from apps.data.sequences import Stored, fetched
from apps.data.views.rows import LENGTHS
from apps.errors import UserError
from apps.following import Follower
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.signatures import STATE, Signature

# Rows that a baseline answers at once.
_ROWS = 4096
# A report of more would show nothing new and fill the disk.
_MOST_PREDICTIONS = 20_000
_CALIBRATION_UNITS = 300

# A model's outputs: one tensor, or several by name.
Outputs = Any
# Batches of units as arrays by name, targets, lengths and `truth` among them, each with a model's
# outputs for it.
Batches = Sequence[tuple[Mapping[str, np.ndarray], Outputs]]


class Task(Component, ABC):
    """What the model is asked about an input.

    Attributes:
        metrics: what it measures, the most important first.
        objective: name of the metric by which early stopping and tuning choose.
        stratify: column whose values have the same proportions on both sides of a split.
        aligned: targets with one entry for each step of the input's main sequence.
        alike: a target, itself a sequence, by whose length rows share a batch; see `Rows`.
        stream_options: options of `stream` on how decisions are made.
        resamples: how many resamples the bootstrap draws; fewer where measuring takes long.
        headline: name of the answer that a person wants to see first: a text, shares by name, or a
            list of spans of the text that was sent.
    """

    headline: ClassVar[str] = ""
    resamples: ClassVar[int] = 1000
    metrics: ClassVar[tuple[Metric, ...]]
    objective: ClassVar[str]
    stratify: str | None = None
    aligned: tuple[str, ...] = ()
    alike: str = ""
    stream_options: ClassVar[type[Options]] = Options

    @property
    def calibration_units(self) -> int:
        """So many validation units are given to `calibrate`, evenly spread."""
        return _CALIBRATION_UNITS

    @property
    def most_predictions(self) -> int:
        """So many validation units have their answers kept for a report, evenly spread."""
        return _MOST_PREDICTIONS

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

    def explained(self, outputs: Any) -> tf.Tensor:
        """The number whose origin an inspection shows: each step's largest output, summed."""
        found = outputs
        if isinstance(outputs, Mapping):
            floats = [v for n, v in outputs.items() if v.dtype.is_floating and STATE not in n]
            found = floats[0]
        return tf.reduce_sum(tf.reduce_max(found, -1))

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

    def compared(
        self, statistics: Mapping[str, np.ndarray], others: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, dict[str, Any]]:
        """Whether the model differs from each baseline, where the task tests it; often nothing.

        Args:
            statistics: of the model's answers to some units.
            others: those of each baseline's answers to the same units, by name.

        Returns:
            By baseline, `statistic`, `p` and `sentence`, which says it in plain words.
        """
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
