"""Outputs of a model for prepared rows, and how long one of them takes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.data import Prepared, dataset, in_order, sorted_batches

_TIMED_ROWS = 20


class Predictor:
    """A model as one graph that takes batches of any size and length, traced at the first call.

    Args:
        model: from prepared tensors to one output tensor `(batch, …)` of fixed shape.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._traced: Any = None

    def __call__(self, prepared: Prepared, batch_size: int = 64) -> np.ndarray:
        """The outputs of all prepared rows, in their order.

        Args:
            prepared: the rows.
            batch_size: rows at a time, of like length.

        Returns:
            Array `(rows, …)` float32.
        """
        batches = sorted_batches(prepared.lengths, batch_size)
        outputs = [self._outputs(batch).numpy() for batch in dataset(prepared, batches)]
        return in_order(batches, outputs)

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


def predict(model: keras.Model, prepared: Prepared, batch_size: int = 64) -> np.ndarray:
    """A model's outputs of all prepared rows; arguments and result as of a `Predictor`."""
    return Predictor(model)(prepared, batch_size)
