"""Outputs of a model for the units of a view, batch by batch, and how long one of them takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.application import Application
from apps.data import Batch, View, dataset
from apps.layers.kernels.dispatch import for_this_process
from apps.training.carried import BEGINS, Carried, states_of, without_states

_TIMED_UNITS = 20
# Outputs with a time axis belong to recordings and the like, whose activations take memory.
_ROWS, _LONG_ROWS = 64, 16


class Predicted(NamedTuple):
    """A batch and what the model gives for it.

    Attributes:
        units: `(batch,)` int64, numbers of the view's units; empty rows are left out.
        batch: the arrays of those rows by name.
        outputs: an array `(batch, …)`, or several by name; padded as the batch is.
    """

    units: np.ndarray
    batch: dict[str, np.ndarray]
    outputs: Any


class Predictor:
    """An application's model as one graph for batches of any size and length.

    Args:
        application: whose view the batches come from.
        model: takes what its `inference` model takes; that one itself unless given.
    """

    def __init__(self, application: Application, model: keras.Model | None = None) -> None:
        self._application = application
        self._model = application.inference() if model is None else model
        self._carried = Carried(self._model)
        self._traced: Callable[..., Any] | None = None
        self._answering: Callable[..., Any] | None = None
        self._prepared: dict[str, tf.TensorSpec] = {}
        long = any(len(tensor.shape) > 2 for tensor in self._model.outputs)
        self._rows = _LONG_ROWS if long else _ROWS

    def __call__(self, view: View) -> Iterator[Predicted]:
        """Outputs for all units, in the order of the view's sweep."""
        batches = view.sweep(self._rows)
        states: dict[str, tf.Tensor] = {}
        for batch, tensors in zip(batches, dataset(view, batches), strict=True):
            if self._carried:
                rows = len(batch.rows)
                same = bool(states) and len(next(iter(states.values()))) == rows
                tensors = {**tensors, **(states if same else self._carried.zeros(rows))}
            outputs = self._outputs(tensors)
            states = states_of(outputs)
            yield _without_empty_rows(batch, tensors, without_states(outputs))

    def answers(self, predicted: Predicted) -> dict[str, np.ndarray]:
        """Named answers made of a batch of outputs, as arrays."""
        if self._answering is None:
            given = self._application.input
            self._prepared = _specs(given.prepare(given.raw_inputs()))
            outputs = without_states(_specs(self._model.output))
            answers = self._application.task.answers
            self._answering = tf.function(answers, input_signature=[outputs, self._prepared])
        outputs = tf.nest.map_structure(tf.constant, predicted.outputs)
        inputs = {name: tf.constant(predicted.batch[name]) for name in self._prepared}
        return {name: value.numpy() for name, value in self._answering(outputs, inputs).items()}

    def milliseconds(self, view: View) -> float:
        """Median time of one unit in a batch of its own, in milliseconds."""
        times = []
        for unit in range(min(_TIMED_UNITS, len(view)) * 2):
            number = unit % len(view)
            alone = Batch(np.array([number]), int(view.lengths[number]), np.ones(1, bool))
            fetched = view.fetch(alone)
            batch = {name: tf.constant(value) for name, value in fetched.items()}
            start = time.perf_counter()
            outputs = self._outputs({**batch, **self._carried.zeros(1)})
            tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)
            times.append(time.perf_counter() - start)
        return round(1e3 * float(np.median(times[len(times) // 2 :])), 3)

    def _outputs(self, batch: Mapping[str, tf.Tensor]) -> Any:
        names = [tensor.name for tensor in self._model.inputs]
        names += [BEGINS] if self._carried and BEGINS not in names else []
        given = {name: batch[name] for name in names}
        if self._traced is None:
            specs = {t.name: tf.TensorSpec(t.shape, t.dtype) for t in self._model.inputs}
            if self._carried:
                specs[BEGINS] = tf.TensorSpec((None,), tf.bool)
            with for_this_process():
                self._traced = tf.function(self._call).get_concrete_function(specs)
        return self._traced(given)

    def _call(self, batch: Mapping[str, tf.Tensor]) -> Any:
        begun = self._carried.begun(batch)
        inputs = {tensor.name: begun[tensor.name] for tensor in self._model.inputs}
        return tf.nest.map_structure(_in_float32, self._model(inputs, training=False))


def outputs_of(application: Application, view: View) -> list[Any]:
    """The output of every unit of a view in their order, several outputs as a dict.

    Where outputs have a time axis each is as long as its batch was padded.
    """
    found: list[Any] = [None] * len(view)
    for predicted in Predictor(application)(view):
        for row, unit in enumerate(predicted.units):
            found[unit] = tf.nest.map_structure(lambda array: array[row], predicted.outputs)  # noqa: B023
    return found


def _without_empty_rows(batch: Batch, tensors: Mapping[str, Any], outputs: Any) -> Predicted:
    real = batch.rows >= 0
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    made = tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)
    if not real.all():
        arrays = {name: array[real] for name, array in arrays.items()}
        made = tf.nest.map_structure(lambda array: array[real], made)
    return Predicted(batch.rows[real], arrays, made)


def _specs(output: Any) -> Any:
    def spec(tensor: keras.KerasTensor) -> tf.TensorSpec:
        dtype = tf.as_dtype(tensor.dtype)
        return tf.TensorSpec(tensor.shape, tf.float32 if _half(dtype) else dtype)

    return tf.nest.map_structure(spec, output)


def _in_float32(tensor: tf.Tensor) -> tf.Tensor:
    return tf.cast(tensor, tf.float32) if _half(tensor.dtype) else tensor


def _half(dtype: tf.DType) -> bool:
    return dtype.is_floating and dtype.size < tf.float32.size
