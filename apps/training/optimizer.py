"""Adam that touches only the embedding rows a batch has used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("apps")
class LazyAdam(keras.optimizers.AdamW):
    """AdamW whose moments of sparse gradients advance only for the rows that occur in the batch.

    Keras turns the sparse gradient of an embedding into a dense one, so that every step reads and
    writes the whole table three times; for tables of 10^5 rows and more that takes longer than the
    model. Dense gradients follow Loshchilov & Hutter 2019, "Decoupled weight decay regularization",
    algorithm 2; sparse ones the same formulas row by row, bias correction counted in steps.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        """The gradients as they are: training has summed them over devices before it clips them."""
        return grads_and_vars

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        """Average the weights, the first ones over fewer steps, so that none counts for long."""
        if not self.use_ema:
            return
        steps = tf.cast(self.iterations, tf.float32)
        momentum = tf.minimum(self.ema_momentum, steps / (10.0 + steps))
        averages = self._model_variables_moving_average
        for variable, average in zip(trainable_variables, averages, strict=True):
            average.assign_add(tf.cast(1.0 - momentum, variable.dtype) * (variable - average))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While it is entered, the variables are their averages, if there are averages."""
        if not self.use_ema:
            yield
            return
        variables = self._trainable_variables
        kept = [variable.numpy() for variable in variables]
        self._overwrite_model_variables_with_average_value(variables)
        try:
            yield
        finally:
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        table, first, second = (
            v.value if isinstance(v, keras.Variable) else v
            for v in (variable, self._momentums[index], self._velocities[index])
        )
        rows, positions = tf.unique(gradient.indices)
        sums = tf.math.unsorted_segment_sum(gradient.values, positions, tf.size(rows))
        sums = tf.cast(sums, variable.dtype)
        step = tf.cast(self.iterations + 1, variable.dtype)
        rate = tf.cast(learning_rate, variable.dtype)
        correction = tf.sqrt(1 - tf.pow(self.beta_2, step)) / (1 - tf.pow(self.beta_1, step))
        mean = self.beta_1 * tf.gather(first, rows) + (1 - self.beta_1) * sums
        square = self.beta_2 * tf.gather(second, rows) + (1 - self.beta_2) * tf.square(sums)
        first.scatter_update(tf.IndexedSlices(mean, rows))
        second.scatter_update(tf.IndexedSlices(square, rows))
        change = rate * correction * mean / (tf.sqrt(square) + self.epsilon)
        table.scatter_sub(tf.IndexedSlices(change, rows))
