"""Outputs of a model for prepared rows, and how long one of them takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from apps.data import Prepared, dataset, in_order, sorted_batches

if TYPE_CHECKING:
    from apps.application import Application

Steps: TypeAlias = Callable[[np.ndarray], np.ndarray | None]

_TIMED_ROWS = 20
# Rows with an output for each step are recordings and the like, whose activations take memory.
_ROWS, _LONG_ROWS = 64, 16


class Predictor:
    """A model as one graph that takes batches of any size and length, traced at the first call.

    Args:
        model: from prepared tensors to one output tensor, `(batch, …)` of fixed shape or
            `(batch, steps, …)`.
        steps: of an output with steps, how many of them count for rows of so many input steps.
    """

    def __init__(self, model: keras.Model, steps: Steps | None = None) -> None:
        self._model = model
        self._steps = steps
        self._traced: Any = None

    @classmethod
    def of(cls, application: Application) -> Self:
        """What predicts with an application's model."""
        stepwise = application.output_steps(np.zeros(0, np.int64)) is not None
        return cls(application.model, application.output_steps if stepwise else None)

    def __call__(self, prepared: Prepared, batch_size: int | None = None) -> np.ndarray:
        """The outputs of all prepared rows, in their order.

        Args:
            prepared: the rows.
            batch_size: rows at a time, of like length; fewer unless given where outputs have steps.

        Returns:
            Array `(rows, …)` float32; where outputs have steps, `(rows,)` of objects, each the
            array `(steps, …)` float32 of its row.
        """
        if batch_size is None:
            batch_size = _ROWS if self._steps is None else _LONG_ROWS
        batches = sorted_batches(prepared.lengths, batch_size)
        outputs = [self._outputs(batch).numpy() for batch in dataset(prepared, batches)]
        if self._steps is None:
            return in_order(batches, outputs)
        found = np.empty(len(prepared), object)
        for batch, padded in zip(batches, outputs, strict=True):
            steps = np.asarray(self._steps(prepared.lengths[batch.rows]))
            for row, output, count in zip(batch.rows, padded, steps, strict=True):
                found[row] = output[:count]
        return found

    def milliseconds(self, prepared: Prepared) -> float:
        """Median time of one example in a batch of its own, in milliseconds."""
        times = []
        for row in range(min(_TIMED_ROWS, len(prepared.lengths)) * 2):
            number = row % len(prepared.lengths)
            fetched = prepared.fetch(np.array([number]), int(prepared.lengths[number]))
            batch = {tensor.name: tf.constant(fetched[tensor.name]) for tensor in self._inputs}
            start = time.perf_counter()
            self._outputs(batch).numpy()
            times.append(time.perf_counter() - start)
        return round(1e3 * float(np.median(times[len(times) // 2 :])), 3)

    @property
    def _inputs(self) -> list[keras.KerasTensor]:
        return self._model.inputs

    def _outputs(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        if self._traced is None:
            specs = {t.name: tf.TensorSpec(t.shape, t.dtype) for t in self._inputs}
            self._traced = tf.function(
                lambda inputs: tf.cast(self._model(inputs, training=False), tf.float32)
            ).get_concrete_function(specs)
        return self._traced({tensor.name: batch[tensor.name] for tensor in self._inputs})


def predict(
    predicting: Application | keras.Model, prepared: Prepared, batch_size: int | None = None
) -> np.ndarray:
    """Outputs of all prepared rows; arguments and result as of a `Predictor`."""
    model = isinstance(predicting, keras.Model)
    predictor = Predictor(predicting) if model else Predictor.of(predicting)
    return predictor(prepared, batch_size)
