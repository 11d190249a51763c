"""An LSTM over every row of a window, and all rows of the horizon at once from its last state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from apps.layers.forecasting.forecaster import Forecaster
from apps.layers.forecasting.window_scaling import beside, scaled


@keras.saving.register_keras_serializable("apps")
class DirectForecaster(Forecaster):
    """Reads all targets of a row together, row by row, and says the whole horizon at the end.

    Wen et al. 2017, "A multi-horizon quantile recurrent forecaster", sections 3.1 to 3.3: a vector
    for all of the horizon and one for each row of it, with what is known of that row, give its
    quantiles through one network.

    Arguments, call arguments and returns: as `Forecaster` has them.
    """

    def __init__(self, *sizes: Any, **given: Any) -> None:
        super().__init__(*sizes, **given)
        self.stack = self._lstms(next(self._seeds) + 1000, return_sequences=False)
        width = self.width = self.stack.units[-1]
        # Of each row of the horizon so many features of its own.
        self.own = max(width // 8, 4)
        drop = self.output_dropout
        self.drop = keras.layers.Dropout(drop, seed=next(self._seeds), name="drop")
        self.common = self._dense(width, "common", "relu")
        self.by_row = self._dense(self.horizon * self.own, "by_row", "relu")
        self.local = self._dense(width, "local", "relu")
        self.forecast = self._dense(self.targets * len(self.levels), "forecast")

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
        said = tf.sort(tf.reshape(said, [batch, self.horizon, self.targets, len(self.levels)]))
        return said * scale[..., None] + shift[..., None]
