"""Metrics from the statistics of units: outputs are looked at batch by batch and never kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.answers import answers as as_python
from apps.application import Application
from apps.components import Baseline, Batches, Task
from apps.data import Examples, View
from apps.report.bootstrap import bootstrap_draws, bootstrap_interval
from apps.training.choosing import Score, standard_error
from apps.training.prediction import Predicted, Predictor

BLOCK = "block"

Statistics = dict[str, np.ndarray]
Metrics = dict[str, float | None]


@dataclass
class Collected:
    """Statistics of a view's units, gathered in the order in which batches come."""

    _units: list[np.ndarray] = field(default_factory=list)
    _parts: list[Statistics] = field(default_factory=list)

    def add(self, units: np.ndarray, statistics: Statistics) -> None:
        """Take those of a batch."""
        self._units.append(units)
        self._parts.append(statistics)

    def in_order(self) -> Statistics:
        """Arrays `(units, …)` in the order of the units."""
        order = np.argsort(np.concatenate(self._units), kind="stable")
        return {
            name: np.concatenate([part[name] for part in self._parts])[order]
            for name in self._parts[0]
        }


@dataclass(frozen=True)
class Measured:
    """What a view's units were found to be.

    Attributes:
        statistics: of the model's answers.
        decoders: of other ways to make answers of its outputs, by name.
        answers: Python values of the units that were asked for, by number.
    """

    statistics: Statistics
    decoders: Mapping[str, Statistics]
    answers: Mapping[int, dict[str, Any]]


def provisional_metrics(
    application: Application, predictor: Predictor, view: View, truth: np.ndarray | None
) -> tuple[dict[str, float], Score]:
    """Metrics after an epoch, without a search that takes long, and how good its weights are."""
    task, found, loss = application.task, Collected(), 0.0
    # A model that answers without what training reads has outputs that no loss is made for.
    comparable = application.inference() is application.model
    for predicted in predictor(view):
        answered = task.provisional(predicted.outputs)
        found.add(predicted.units, task.statistics(_with_truth(predicted, truth), answered))
        if comparable:
            given = tf.nest.map_structure(tf.constant, (predicted.batch, predicted.outputs))
            loss += len(predicted.units) * float(application.loss(*given))
    statistics, name = found.in_order(), application.objective
    metrics = task.measure(statistics)
    error = standard_error(task.measure, statistics, name) if application.judge.rate else 0.0
    return metrics, Score(metrics[name], loss / len(view) if comparable else math.nan, error)


def measured(
    application: Application,
    predictor: Predictor,
    view: View,
    truth: np.ndarray | None,
    wanted: np.ndarray | None = None,
) -> Measured:
    """Statistics of the final model, and of its other decoders.

    Args:
        application: its model is final.
        predictor: of it.
        view: the units, with targets.
        truth: as the task gives it for them.
        wanted: numbers of the units whose answers are kept.
    """
    task = application.task
    others = task.decoders()
    found, decoded = Collected(), {name: Collected() for name in others}
    kept: dict[int, dict[str, Any]] = {}
    for predicted in predictor(view):
        units, outputs = predicted.units, predicted.outputs
        batch = _with_truth(predicted, truth)
        answer = _Once(predictor, predicted)
        found.add(units, task.statistics(batch, task.answered(outputs, answer)))
        for name, decode in others.items():
            decoded[name].add(units, task.statistics(batch, decode(outputs)))
        if wanted is not None and (asked := np.flatnonzero(np.isin(units, wanted))).size:
            arrays = {
                name: value[asked] if value.ndim and len(value) == len(units) else value
                for name, value in answer().items()
            }
            kept.update(zip(map(int, units[asked]), as_python(arrays, len(asked)), strict=True))
    return Measured(found.in_order(), {name: one.in_order() for name, one in decoded.items()}, kept)


def calibrate(application: Application, predictor: Predictor, units: Examples) -> None:
    """Let application and task choose what they choose by validation units, if anything.

    Args:
        application: its model is trained.
        predictor: of it.
        units: the validation units.
    """
    task = application.task
    predictors = {id(application.inference()): predictor}

    def held_out(model: keras.Model, most: int) -> Batches:
        some = np.linspace(0, len(units) - 1, min(len(units), most)).round().astype(np.int64)
        chosen = units.select(some)
        truth, view = task.truth(chosen), application.view(chosen)
        # What is calibrated are variables, which a graph reads each time.
        if id(model) not in predictors:
            predictors[id(model)] = Predictor(application, model)
        return [(_with_truth(one, truth), one.outputs) for one in predictors[id(model)](view)]

    application.calibrate(held_out)
    if type(task).calibrate is not Task.calibrate:
        task.calibrate(held_out(application.inference(), task.calibration_units))


def metrics_of(task: Task, statistics: Statistics) -> Metrics:
    """The metrics, None where one is undefined."""
    return finite(task.measure(statistics))


def intervals_of(task: Task, statistics: Statistics, units: Examples, seed: int) -> dict[str, Any]:
    """Bootstrap intervals of the metrics; units of one block are drawn together."""
    blocks = _blocks(units)
    return bootstrap_interval(
        task.measure, statistics, seed=seed, blocks=blocks, resamples=task.resamples
    )


def draws_of(
    task: Task, statistics: Statistics, units: Examples, seed: int
) -> dict[str, list[float]]:
    """The metrics of resampled units, the same units for all that is measured with one seed."""
    blocks = _blocks(units)
    return bootstrap_draws(
        task.measure, statistics, seed=seed, blocks=blocks, resamples=task.resamples
    )


def _blocks(units: Examples) -> np.ndarray | None:
    if BLOCK not in units:
        return None
    return np.unique(np.asarray(units[BLOCK]), return_inverse=True)[1].reshape(-1)


def baseline_metrics(task: Task, baseline: Baseline, units: Examples) -> Metrics:
    """The metrics of what a baseline answers."""
    return metrics_of(task, task.statistics_of(baseline, units))


def finite(metrics: Mapping[str, float]) -> Metrics:
    """The metrics as JSON holds them: None where a figure is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


class _Once:
    """Answers of a batch of outputs, made when they are first asked for."""

    def __init__(self, predictor: Predictor, predicted: Predicted) -> None:
        self._predictor, self._predicted = predictor, predicted
        self._answers: dict[str, np.ndarray] | None = None

    def __call__(self) -> dict[str, np.ndarray]:
        if self._answers is None:
            self._answers = self._predictor.answers(self._predicted)
        return self._answers


def _with_truth(predicted: Predicted, truth: np.ndarray | None) -> dict[str, np.ndarray]:
    if truth is None:
        return predicted.batch
    return {**predicted.batch, "truth": truth[predicted.units]}
