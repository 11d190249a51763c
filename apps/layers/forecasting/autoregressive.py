"""An LSTM that says the distribution of the next row, and draws from it again and again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps.layers.forecasting.forecaster import Forecaster
from apps.layers.forecasting.window_scaling import beside, scaled

# Of a standardised series: distributions are never narrower, and never have heavier tails.
_LEAST_SCALE, _LEAST_FREEDOM = 1e-4, 2.0


@keras.saving.register_keras_serializable("apps")
class AutoregressiveForecaster(Forecaster):
    """Student's distribution of each target's next value, given all values before it.

    Salinas et al. 2020, "DeepAR: probabilistic forecasting with autoregressive recurrent networks",
    section 3. Each target is followed by the same network. Training reads the true values; a
    forecast draws paths, each value going into the next step. The draws' uniform numbers are the
    same for every window, so that answers can be had again: Student's from two uniform ones by
    Bailey 1994, "Polar generation of random variates with the t-distribution".

    Args:
        paths: draws that quantiles are taken from.
        **given: arguments of `Forecaster`; streams need the scaling `raw`.

    Call arguments:
        inputs: as `Forecaster` takes them, without `past`.
        said: the true values of the horizon, `(batch, horizon, targets)`, in training.
        training: whether dropout applies.

    Returns:
        With `said`, location, scale and degrees of freedom of every row but the first, `(batch,
        context + horizon - 1, targets, 3)`. Without, quantiles `(batch, horizon, targets, levels)`.
    """

    arguments: ClassVar[tuple[str, ...]] = ("paths",)

    def __init__(self, *sizes: Any, paths: int = 200, **given: Any) -> None:
        super().__init__(*sizes, **given)
        self.paths = paths
        self.stack = self._lstms(next(self._seeds) + 1000, return_state=True)
        drop = self.output_dropout
        self.drop = keras.layers.Dropout(drop, seed=next(self._seeds), name="drop")
        self.parameters = self._dense(3, "parameters")
        self._which = keras.initializers.RandomNormal(seed=next(self._seeds))
        # Evenly spread in one dimension, so that few paths do for the first row.
        draw = np.random.default_rng(self.seed)
        even = (np.arange(paths) + 0.5) / paths
        ranks = np.stack([draw.permutation(paths) for _ in range(self.horizon)])
        self._uniform = even[ranks].astype(np.float32)
        self._angle = np.cos(2 * math.pi * draw.random((self.horizon, paths))).astype(np.float32)

    def build(self, inputs_shape: Mapping[str, Any], said_shape: Any = None) -> None:
        names = ("future", "calendar", "static")
        known = sum(inputs_shape[name][-1] for name in names if name in inputs_shape)
        self.which = self.add_weight(
            shape=(self.targets, self.stack.units[0] // 4 or 1),
            initializer=self._which,
            name="which",
        )
        self.stack.build((None, None, 1 + known + self.which.shape[1]))
        self.parameters.build((None, None, self.stack.units[-1]))

    def call(
        self,
        inputs: Mapping[str, tf.Tensor],
        said: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        series, shift, scale = scaled(inputs["series"], self.scaling)
        if said is not None:
            values = tf.concat([series, (said - shift) / scale], 1)[:, :-1]
            found, _ = self._read(values, self._known(inputs, 1, None), None, training)
            return self._in_unit(found, shift, scale)
        # Row by row, each with what is known of the row that it leads to.
        found, states = self._read(series, self._known(inputs, 1, self.context + 1), None, False)
        return self._drawn(found[:, -1], states, inputs) * scale[..., None] + shift[..., None]

    def _known(self, inputs: Mapping[str, Any], first: int, last: int | None) -> tf.Tensor | None:
        """What is known of some rows besides the values, `(batch, rows, channels)`."""
        known = beside(inputs, slice(first, last))
        if "static" in inputs:
            rows = (self.context + self.horizon if last is None else last) - first
            static = tf.repeat(inputs["static"][:, None], rows, 1)
            known = static if known is None else tf.concat([known, static], -1)
        return known

    def _read(
        self, values: tf.Tensor, known: tf.Tensor | None, states: Any, training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Parameters after each row, `(batch, rows, targets, 3)`, and the states at the end."""
        batch, rows = tf.shape(values)[0], tf.shape(values)[1]
        parts = [tf.transpose(values, [0, 2, 1])[..., None]]
        which = self.which[None, :, None]
        parts.append(tf.broadcast_to(which, [batch, self.targets, rows, which.shape[-1]]))
        if known is not None:
            parts.append(tf.repeat(known[:, None], self.targets, 1))
        width = sum(part.shape[-1] for part in parts)
        read = tf.reshape(tf.concat(parts, -1), [batch * self.targets, rows, width])
        read, *states = self.stack(read, states, training=training)
        found = self._distribution(self.drop(read, training=training))
        found = tf.reshape(found, [batch, self.targets, rows, 3])
        return tf.transpose(found, [0, 2, 1, 3]), states

    def _distribution(self, features: tf.Tensor) -> tf.Tensor:
        location, scale, freedom = tf.split(self.parameters(features), 3, -1)
        scale = tf.nn.softplus(scale) + _LEAST_SCALE
        return tf.concat([location, scale, tf.nn.softplus(freedom) + _LEAST_FREEDOM], -1)

    def _in_unit(self, found: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        location, width, freedom = tf.unstack(found, axis=-1)
        return tf.stack([location * scale + shift, width * scale, freedom], -1)

    def _drawn(
        self, first: tf.Tensor, states: list[tf.Tensor], inputs: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Quantiles of the paths that go on from a distribution."""
        batch = tf.shape(first)[0]
        rows = batch * self.targets * self.paths
        states = [tf.repeat(state, self.paths, 0) for state in states]
        which = tf.reshape(
            tf.broadcast_to(
                self.which[None, :, None],
                [batch, self.targets, self.paths, self.which.shape[-1]],
            ),
            [rows, self.which.shape[-1]],
        )
        known = self._known(inputs, self.context, None)
        shape = [None, self.targets, len(self.levels)]
        said = tf.TensorArray(tf.float32, self.horizon, element_shape=shape)

        def go_on(step: tf.Tensor, parameters: tf.Tensor, said: Any, *states: tf.Tensor) -> Any:
            values = self._values(parameters, step)
            parts = [tf.reshape(values, [rows, 1]), which]
            if known is not None:
                # Of the last row nothing follows.
                beside_next = known[:, tf.minimum(step + 1, self.horizon - 1)]
                parts.append(tf.repeat(beside_next, self.targets * self.paths, 0))
            after = self.stack.advance(tf.concat(parts, -1), states)
            found = self._distribution(self.stack.output_of(after))
            found = tf.reshape(found, [batch, self.targets, self.paths, 3])
            return step + 1, found, said.write(step, self._quantiles(values)), *after

        begun = (tf.constant(0), tf.repeat(first[:, :, None], self.paths, 2), said, *states)
        _, _, said, *_ = tf.while_loop(lambda step, *_: step < self.horizon, go_on, begun)
        return tf.transpose(said.stack(), [1, 0, 2, 3])

    def state_specs(self) -> dict[str, tf.TensorSpec]:
        """States of a stream by name, `(batch, targets * units)` float32; zeros at its start."""
        return {
            f"state_{name}": tf.TensorSpec((None, self.targets * shape[-1]), dtype)
            for name, (shape, dtype) in self.stack.state_specs().items()
        }

    def step(
        self, inputs: Mapping[str, tf.Tensor], states: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Quantiles of the row after each row of a chunk.

        Args:
            inputs: `series` `(batch, rows, targets)`, and `future` and `calendar` of the row after
                each; `static`.
            states: as `state_specs` names them.

        Returns:
            Quantiles `(batch, rows, targets, levels)`, and the next states.
        """
        series, known = inputs["series"], beside(inputs, slice(None))
        if "static" in inputs:
            static = tf.repeat(inputs["static"][:, None], tf.shape(series)[1], 1)
            known = static if known is None else tf.concat([known, static], -1)
        names, batch = list(self.state_specs()), tf.shape(series)[0]
        own = [tf.reshape(states[name], [batch * self.targets, -1]) for name in names]
        found, after = self._read(series, known, own, False)
        quantiles = self._quantiles(self._values(found[:, :, :, None], 0))
        pairs = zip(names, after, strict=True)
        return quantiles, {
            name: tf.reshape(state, [batch, self.targets * state.shape[-1]])
            for name, state in pairs
        }

    def _values(self, parameters: tf.Tensor, step: Any) -> tf.Tensor:
        """A value for each path, of parameters `(…, paths or 1, 3)`."""
        location, scale, freedom = tf.unstack(parameters, axis=-1)
        uniform, angle = tf.constant(self._uniform)[step], tf.constant(self._angle)[step]
        polar = freedom * (uniform ** (-2.0 / freedom) - 1.0)
        return location + scale * tf.sqrt(polar) * angle

    def _quantiles(self, drawn: tf.Tensor) -> tf.Tensor:
        places = [min(int(level * self.paths), self.paths - 1) for level in self.levels]
        return tf.gather(tf.sort(drawn), places, axis=-1)

    def nats(self, parameters: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """Negative logarithm of the density of values, element by element.

        Args:
            parameters: `(…, 3)`, as `call` gives them.
            values: `(…)`.
        """
        location, scale, freedom = tf.unstack(parameters, axis=-1)
        distance = (values - location) / scale
        half = (freedom + 1.0) / 2.0
        constant = tf.math.lgamma(freedom / 2.0) - tf.math.lgamma(half)
        constant += 0.5 * tf.math.log(freedom * math.pi) + tf.math.log(scale)
        return constant + half * tf.math.log1p(distance**2 / freedom)

    def compute_output_spec(self, inputs: Any, said: Any = None, training: bool = False) -> Any:
        if said is None:
            return super().compute_output_spec(inputs, training)
        rows = self.context + self.horizon - 1
        return keras.KerasTensor((inputs["series"].shape[0], rows, self.targets, 3))
