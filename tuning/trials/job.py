"""What a trial is given, reports and ends with, as plain JSON values."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from apps.errors import UserError

COMPLETED, FAILED, INTERRUPTED = "COMPLETED", "FAILED", "INTERRUPTED"
Status = Literal["COMPLETED", "FAILED", "INTERRUPTED"]


class _Message:
    """A dataclass that travels between processes as one JSON object."""

    def to_json(self) -> str:
        """The fields as one line of JSON, with NaN and infinities as Python writes them."""
        return json.dumps(dataclasses.asdict(self))  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What `to_json` gave.

        Raises:
            UserError: the text is not that.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise UserError(f"{cls.__name__.lower()} cannot be read: {error}") from None


@dataclass(frozen=True)
class Job(_Message):
    """One training, to be done on any machine.

    Attributes:
        id: of the trial.
        application: a name of the catalogue.
        data, validation: sources.
        since, until: which rows of `data` count.
        labels: a file with the labels of `data` and `validation`, of sensors.
        folds: stretches to score on, each by a training on what was before it; None for
            validation.
        columns: the application's column names to the source's.
        settings: hyperparameters that are searched or given; what suits the rows is chosen for the
            others.
        seed: of weights, dropout, order and split.
        folder: of the trial; its run folder is `run` inside.
        epochs: stop after so many epochs of the schedule; None for as long as it takes.
        minutes: wall-clock limit.
        anneals: whether the learning rate falls to zero within it; else it follows the epochs.
        objective: the metric that scores.
        budget: upper bounds of `latency_ms`, `parameters` and `size_mb`.
        continues: folder of the trial whose training it continues.
        strategy: of `tf.distribute`: `mirrored`, `multiworker` or None.
    """

    id: str
    application: str
    data: str
    settings: dict[str, Any]
    seed: int
    folder: str
    minutes: float
    objective: str
    validation: str | None = None
    since: str | None = None
    until: str | None = None
    labels: str | None = None
    folds: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    epochs: int | None = None
    budget: dict[str, float] = field(default_factory=dict)
    continues: str | None = None
    strategy: str | None = None
    anneals: bool = True

    @property
    def source(self) -> dict[str, Any]:
        """What is trained on what: arguments of `apps.train` and of `Plan`."""
        names = ("application", "data", "validation", "columns", "seed")
        return {name: getattr(self, name) for name in (*names, "since", "until", "labels")}

    def values(self, accumulation_steps: int) -> dict[str, Any]:
        """The settings, with each batch in so many pieces."""
        return {**self.settings, "accumulation_steps": accumulation_steps}


@dataclass(frozen=True)
class Progress(_Message):
    """How far a trial has come.

    Attributes:
        epoch: epochs completed.
        step: steps completed in all.
        score: best so far; None before the first validation.
        seconds: since the trial began, earlier attempts included.
    """

    epoch: int = 0
    step: int = 0
    score: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome(_Message):
    """What became of a trial.

    Attributes:
        status: an `INTERRUPTED` trial has not ended; it goes on from its checkpoint.
        reason: one line; empty where it completed.
        score: the objective at the best epoch.
        metrics: validation metrics of that epoch.
        cost: `parameters`, `latency_ms` (one example in a batch of its own), `size_mb` (weights),
            `memory_mb` (peak).
        seconds: of the whole trial, earlier attempts included.
        fit_seconds: the part of it spent in training and validation.
        epochs: epochs completed.
        accumulation_steps: 2 where every batch went through in halves, after running out of
            memory; else 1.
    """

    status: Status
    reason: str = ""
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    fit_seconds: float = 0.0
    epochs: int = 0
    accumulation_steps: int = 1
