"""An LSTM over every row of a window, and all rows of the horizon at once from its last state."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.forecasting.window_scaling import beside, scaled
from apps.layers.stack import LSTMStack

_ARGUMENTS = (
    *("context", "horizon", "targets", "levels", "units", "depth", "scaling"),
    *("input_dropout", "layer_dropout", "weight_dropout", "output_dropout", "seed"),
)


@keras.saving.register_keras_serializable("apps")
class DirectForecaster(keras.layers.Layer):
    """Reads all targets of a row together, row by row, and says the whole horizon at the end.

    Wen et al. 2017, "A multi-horizon quantile recurrent forecaster", sections 3.1 to 3.3: a vector
    for all of the horizon and one for each row of it, with what is known of that row, give its
    quantiles through one network.

    Args:
        context: rows of a window.
        horizon: rows to forecast.
        targets: series of a window.
        levels: number of quantiles.
        units: width of every LSTM, or one width for each layer.
        depth: layers.
        scaling: of each window; see `window_scaling`.
        input_dropout: share of what the first LSTM reads dropped.
        layer_dropout: share of the outputs dropped between layers.
        weight_dropout: share of the recurrent kernels' entries dropped.
        output_dropout: share of the features dropped before the forecast.
        seed: of weights and dropout.

    Call arguments:
        inputs: as `SegmentForecaster` takes them.
        training: whether dropout applies.

    Returns:
        Quantiles `(batch, horizon, targets, levels)`, rising.
    """

    def __init__(
        self,
        context: int,
        horizon: int,
        targets: int,
        levels: int,
        *,
        units: int | Sequence[int],
        depth: int = 1,
        scaling: str = "last",
        input_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        output_dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.context, self.horizon = context, horizon
        self.targets, self.levels = targets, levels
        self.units, self.depth, self.scaling = units, depth, scaling
        self.input_dropout, self.layer_dropout = input_dropout, layer_dropout
        self.weight_dropout, self.output_dropout = weight_dropout, output_dropout
        self.seed = seed
        seeds = itertools.count(seed)

        def dense(width: int, activation: str | None, name: str) -> keras.layers.Dense:
            start = keras.initializers.GlorotUniform(next(seeds))
            return keras.layers.Dense(width, activation, kernel_initializer=start, name=name)

        self.stack = LSTMStack(
            units,
            depth,
            input_dropout=input_dropout,
            dropout=layer_dropout,
            weight_dropout=weight_dropout,
            return_sequences=False,
            seed=next(seeds) + 1000,
            name="lstm",
        )
        self.width = self.stack.units[-1]
        # Of each row of the horizon so many features of its own.
        self.own = max(self.width // 8, 4)
        self.drop = keras.layers.Dropout(output_dropout, seed=next(seeds), name="drop")
        self.common = dense(self.width, "relu", "common")
        self.by_row = dense(horizon * self.own, "relu", "by_row")
        self.local = dense(self.width, "relu", "local")
        self.forecast = dense(targets * levels, None, "forecast")

    def build(self, shapes: Mapping[str, Any]) -> None:
        known = sum(shapes[name][-1] for name in ("future", "calendar") if name in shapes)
        past = shapes["past"][-1] if "past" in shapes else 0
        static = shapes["static"][-1] if "static" in shapes else 0
        self.stack.build((None, None, self.targets + past + known))
        self.common.build((None, self.width + static))
        self.by_row.build((None, self.width + static))
        self.local.build((None, None, self.width + self.own + known))
        self.forecast.build((None, None, self.width))

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        series, shift, scale = scaled(inputs["series"], self.scaling)
        rows = [series]
        if "past" in inputs:
            rows.append(inputs["past"])
        others = beside(inputs, slice(0, self.context))
        if others is not None:
            rows.append(others)
        state = self.drop(self.stack(tf.concat(rows, -1), training=training), training=training)
        if "static" in inputs:
            state = tf.concat([state, inputs["static"]], -1)
        batch = tf.shape(state)[0]
        common = tf.repeat(self.common(state)[:, None], self.horizon, 1)
        parts = [common, tf.reshape(self.by_row(state), [batch, self.horizon, self.own])]
        known = beside(inputs, slice(self.context, None))
        if known is not None:
            parts.append(known)
        said = self.forecast(self.local(tf.concat(parts, -1)))
        said = tf.sort(tf.reshape(said, [batch, self.horizon, self.targets, self.levels]))
        return said * scale[..., None] + shift[..., None]

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        batch = inputs["series"].shape[0]
        return keras.KerasTensor((batch, self.horizon, self.targets, self.levels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in _ARGUMENTS}}
