"""Adam that touches only the embedding rows a batch has used, and only layers that learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from apps.training.pacing import Learning


@keras.saving.register_keras_serializable("apps")
class LazyAdam(keras.optimizers.AdamW):
    """AdamW whose moments of sparse gradients advance only for the rows that occur in the batch.

    Keras turns the sparse gradient of an embedding into a dense one, so that every step reads and
    writes the whole table three times; for tables of 10^5 rows and more that takes longer than the
    model. Dense gradients follow Loshchilov & Hutter 2019, "Decoupled weight decay regularization",
    algorithm 2; sparse ones the same formulas row by row, bias correction counted in steps. A
    variable that begins to learn later counts steps from there on.
    """

    _learning: Mapping[str, Learning] = MappingProxyType({})

    def pace(self, learning: Sequence[Learning]) -> None:
        """Say how each variable learns, for the steps that are traced from here on.

        Args:
            learning: in the order in which the optimiser was built.
        """
        keys = map(self._var_key, self._trainable_variables)
        self._learning = dict(zip(keys, learning, strict=True))

    def _learning_of(self, variable: Any) -> Learning:
        return self._learning.get(self._var_key(variable), Learning())

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        """The gradients as they are: training has summed them over devices before it clips them."""
        return grads_and_vars

    def _update_model_variables_moving_average(self, trainable_variables: Any) -> None:
        """Average the weights, the first ones over fewer steps, so that none counts for long."""
        if not self.use_ema:
            return
        averages = self._model_variables_moving_average
        for variable, average in zip(trainable_variables, averages, strict=True):
            since = self._learning_of(variable).since
            if since is None:
                continue
            steps = tf.cast(self.iterations - since, tf.float32)
            momentum = tf.minimum(self.ema_momentum, steps / (10.0 + steps))
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
        for variable, value in zip(variables, kept, strict=True):
            if self._learning_of(variable).since is None:
                variable.assign(value)
        try:
            yield
        finally:
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Nothing here: `update_step` knows each variable's own learning rate."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        learning = self._learning_of(variable)
        if learning.rate != 1:
            learning_rate = learning.rate * tf.cast(learning_rate, tf.float32)
        if self.weight_decay is not None and self._use_weight_decay(variable):
            rate = tf.cast(learning_rate, variable.dtype)
            variable.assign_sub(variable * tf.cast(self.weight_decay, variable.dtype) * rate)
        if learning.since:
            # Its moments have seen fewer steps than the formulas below correct for.
            steps = self.iterations + 1
            factor = self._correction(steps - learning.since) / self._correction(steps)
            learning_rate = tf.cast(learning_rate, tf.float32) * factor
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
        rate = tf.cast(learning_rate, variable.dtype)
        correction = tf.cast(self._correction(self.iterations + 1), variable.dtype)
        mean = self.beta_1 * tf.gather(first, rows) + (1 - self.beta_1) * sums
        square = self.beta_2 * tf.gather(second, rows) + (1 - self.beta_2) * tf.square(sums)
        first.scatter_update(tf.IndexedSlices(mean, rows))
        second.scatter_update(tf.IndexedSlices(square, rows))
        change = rate * correction * mean / (tf.sqrt(square) + self.epsilon)
        table.scatter_sub(tf.IndexedSlices(change, rows))

    def _correction(self, steps: tf.Tensor) -> tf.Tensor:
        """What makes up for moments that start at zero, after so many steps."""
        steps = tf.cast(steps, tf.float32)
        return tf.sqrt(1 - tf.pow(self.beta_2, steps)) / (1 - tf.pow(self.beta_1, steps))
