"""An LSTM encoder and decoder over segments of a series."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.forecasting.window_scaling import beside, scaled
from apps.layers.stack import LSTMStack

_ARGUMENTS = (
    *("context", "horizon", "targets", "levels", "segment", "units", "depth", "scaling", "linear"),
    *("input_dropout", "layer_dropout", "weight_dropout", "output_dropout", "seed"),
)


@keras.saving.register_keras_serializable("apps")
class SegmentForecaster(keras.layers.Layer):
    """Reads a window segment by segment, and says the next segments at once.

    Lin et al. 2023, "SegRNN: segment recurrent neural network for long-term time series
    forecasting", with LSTMs for its GRU: few steps over long windows, each target by the same
    network. The decoder begins with the encoder's states; at each step it takes where the segment
    stands and which target it is, so that no error feeds back. Covariates are added to what is read
    of a segment.

    Beside it stands a linear map from the window to the horizon, which all targets share, as in
    `apps.tasks.quantiles.baselines.DLinear`; the LSTMs say what it misses.

    Args:
        context: rows of a window.
        horizon: rows to forecast.
        targets: series of a window.
        levels: number of quantiles.
        segment: rows of a segment; the oldest rows of a window that fill none are left out.
        units: width of every LSTM, or one width for each layer.
        depth: layers of encoder and decoder each.
        scaling: of each window; see `window_scaling`.
        linear: rows that the linear map reads, the last ones of a window; 0 for none.
        input_dropout: share of what the first LSTM reads dropped.
        layer_dropout: share of the outputs dropped between layers.
        weight_dropout: share of the recurrent kernels' entries dropped.
        output_dropout: share of the features dropped before the forecast.
        seed: of weights and dropout.

    Call arguments:
        inputs: `series` `(batch, context, targets)`, and where there are such `past` `(batch,
            context, channels)`, `future` and `calendar` `(batch, context + horizon, channels)` and
            `static` `(batch, channels)`; float32.
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
        segment: int,
        units: int | Sequence[int],
        depth: int = 1,
        scaling: str = "last",
        linear: int = 0,
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
        self.segment, self.units, self.depth = segment, units, depth
        self.scaling, self.linear = scaling, linear
        self.input_dropout, self.layer_dropout = input_dropout, layer_dropout
        self.weight_dropout, self.output_dropout = weight_dropout, output_dropout
        self.seed = seed
        # Segments that are read, and those that are said.
        self.read, self.said = context // segment, -(-horizon // segment)
        self._seeds = itertools.count(seed)
        self.encoder = self._stack(
            "encoder", input_dropout=input_dropout, return_sequences=False, return_state=True
        )
        self.decoder = self._stack("decoder")
        self.width = self.encoder.units[0]
        self.seen, self.beside_seen = self._dense("seen", True), self._dense("beside_seen", False)
        self.beside_said = self._dense("beside_said", False)
        self.described = self._dense("described", False)
        self.drop = keras.layers.Dropout(output_dropout, seed=next(self._seeds), name="drop")
        self.forecast = keras.layers.Dense(
            segment * levels,
            # The linear map alone is where training begins.
            kernel_initializer="zeros"
            if linear
            else keras.initializers.GlorotUniform(next(self._seeds)),
            name="forecast",
        )

    def _stack(self, name: str, **further: Any) -> LSTMStack:
        return LSTMStack(
            self.units,
            self.depth,
            dropout=self.layer_dropout,
            weight_dropout=self.weight_dropout,
            seed=next(self._seeds) + 100 * len(name),
            name=name,
            **further,
        )

    def _dense(self, name: str, bias: bool) -> keras.layers.Dense:
        start = keras.initializers.GlorotUniform(next(self._seeds))
        return keras.layers.Dense(self.width, use_bias=bias, kernel_initializer=start, name=name)

    def build(self, shapes: Mapping[str, Any]) -> None:
        def embedding(rows: int, name: str) -> Any:
            start = keras.initializers.RandomNormal(seed=next(self._seeds))
            return self.add_weight(shape=(rows, self.width), initializer=start, name=name)

        self.places, self.names = embedding(self.said, "places"), embedding(self.targets, "names")
        if self.linear:
            self.line = self.add_weight(
                shape=(self.linear, self.horizon), initializer="zeros", name="line"
            )
        known = sum(shapes[name][-1] for name in ("future", "calendar") if name in shapes)
        past = shapes["past"][-1] if "past" in shapes else 0
        self.seen.build((None, None, self.segment))
        if known + past:
            self.beside_seen.build((None, None, self.segment * (known + past)))
        if known:
            self.beside_said.build((None, None, self.segment * known))
        if "static" in shapes:
            self.described.build((None, shapes["static"][-1]))
        self.encoder.build((None, None, self.width))
        self.decoder.build((None, None, self.width))
        self.forecast.build((None, None, self.decoder.units[-1]))

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        series, shift, scale = scaled(inputs["series"], self.scaling)
        batch = tf.shape(series)[0]
        first = self.context - self.read * self.segment
        # Targets are rows of the batch from here on.
        parts = tf.transpose(series[:, first:], [0, 2, 1])
        parts = self.seen(tf.reshape(parts, [batch, self.targets, self.read, self.segment]))
        others = beside(inputs, slice(first, self.context))
        if "past" in inputs:
            past = inputs["past"][:, first:]
            others = past if others is None else tf.concat([others, past], -1)
        if others is not None:
            parts += self.beside_seen(self._cut(others, self.read))[:, None]
        parts = tf.nn.relu(parts)
        rows = tf.reshape(parts, [batch * self.targets, self.read, self.width])
        _, *states = self.encoder(rows, training=training)

        asked = self.places[None, None] + self.names[None, :, None]
        known = beside(inputs, slice(self.context, None))
        if known is not None:
            known = tf.pad(known, [[0, 0], [0, self.said * self.segment - self.horizon], [0, 0]])
            asked += self.beside_said(self._cut(known, self.said))[:, None]
        if "static" in inputs:
            asked += self.described(inputs["static"])[:, None, None]
        asked = tf.broadcast_to(asked, [batch, self.targets, self.said, self.width])
        rows = tf.reshape(asked, [batch * self.targets, self.said, self.width])
        said = self.drop(self.decoder(rows, states, training=training), training=training)
        said = tf.reshape(self.forecast(said), [batch, self.targets, -1, self.levels])
        said = tf.transpose(said[:, :, : self.horizon], [0, 2, 1, 3])
        if self.linear:
            said += tf.einsum("blc,lh->bhc", series[:, -self.linear :], self.line)[..., None]
        said = tf.sort(said)
        return said * scale[..., None] + shift[..., None]

    def _cut(self, rows: tf.Tensor, count: int) -> tf.Tensor:
        """Rows `(batch, rows, channels)` as segments `(batch, count, segment * channels)`."""
        return tf.reshape(rows, [tf.shape(rows)[0], count, self.segment * rows.shape[-1]])

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        batch = inputs["series"].shape[0]
        return keras.KerasTensor((batch, self.horizon, self.targets, self.levels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in _ARGUMENTS}}
