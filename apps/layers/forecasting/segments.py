"""An LSTM encoder and decoder over segments of a series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps.layers.forecasting.forecaster import Forecaster
from apps.layers.forecasting.window_scaling import beside, scaled


@keras.saving.register_keras_serializable("apps")
class SegmentForecaster(Forecaster):
    """Reads a window segment by segment, and says the next segments at once.

    Lin et al. 2023, "SegRNN: segment recurrent neural network for long-term time series
    forecasting", with LSTMs for its GRU: few steps over long windows, each target by the same
    network. The decoder begins with the encoder's states; at each step it takes where the segment
    stands and which target it is, so that no error feeds back. Covariates are added to what is read
    of a segment.

    Beside it stands a linear map from the window to the horizon, which all targets share, as in
    `apps.tasks.quantiles.baselines.DLinear`; the LSTMs say what it misses.
    When training is over, `share` says how much of what it has changed the median keeps: with 0
    the median is that of the map as it was fitted, and the LSTMs only say how far off it may be.

    Args:
        segment: rows of a segment; the oldest rows of a window that fill none are left out.
        linear: rows that the linear map reads, the last ones of a window; 0 for none.
        **given: arguments of `Forecaster`; `depth` is that of encoder and decoder each.

    Call arguments and returns: as `Forecaster` has them.
    """

    arguments: ClassVar[tuple[str, ...]] = ("segment", "linear")

    def __init__(self, *sizes: Any, segment: int, linear: int = 0, **given: Any) -> None:
        super().__init__(*sizes, **given)
        self.segment, self.linear = segment, linear
        # Segments that are read, and those that are said.
        self.read, self.said = self.context // segment, -(-self.horizon // segment)
        self.encoder, self.decoder = (
            self._lstms(next(self._seeds) + 100 * len(name), name=name, **given)
            for name, given in (
                ("encoder", {"return_sequences": False, "return_state": True}),
                ("decoder", {"input_dropout": 0.0}),
            )
        )
        width = self.width = self.encoder.units[0]
        self.seen = self._dense(width, "seen")
        self.beside_seen = self._dense(width, "beside_seen", use_bias=False)
        self.beside_said = self._dense(width, "beside_said", use_bias=False)
        self.described = self._dense(width, "described", use_bias=False)
        # The states of LSTMs hold their output; those of others not what the last layer made of it.
        self.handed = None
        if self.kind != "lstm":
            self.handed = self._dense(width, "handed", use_bias=False)
        drop = self.output_dropout
        self.drop = keras.layers.Dropout(drop, seed=next(self._seeds), name="drop")
        # The linear map alone is where training begins.
        start = {"kernel_initializer": "zeros"} if linear else {}
        self.forecast = self._dense(segment * len(self.levels), "forecast", **start)

    def build(self, shapes: Mapping[str, Any]) -> None:
        def embedding(rows: int, name: str) -> Any:
            start = keras.initializers.RandomNormal(seed=next(self._seeds))
            return self.add_weight(shape=(rows, self.width), initializer=start, name=name)

        self.places, self.names = embedding(self.said, "places"), embedding(self.targets, "names")
        if self.linear:
            shape = (self.linear, self.horizon)
            self.line = self.add_weight(shape=shape, initializer="zeros", name="line")
            self.fitted = self.add_weight(
                shape=shape, initializer="zeros", trainable=False, name="fitted"
            )
            self.share = self.add_weight(
                shape=(), initializer="ones", trainable=False, name="share"
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
        if self.handed is not None:
            self.handed.build((None, self.encoder.units[-1]))
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
        read, *states = self.encoder(rows, training=training)

        asked = self.places[None, None] + self.names[None, :, None]
        known = beside(inputs, slice(self.context, None))
        if known is not None:
            known = tf.pad(known, [[0, 0], [0, self.said * self.segment - self.horizon], [0, 0]])
            asked += self.beside_said(self._cut(known, self.said))[:, None]
        if "static" in inputs:
            asked += self.described(inputs["static"])[:, None, None]
        asked = tf.broadcast_to(asked, [batch, self.targets, self.said, self.width])
        rows = tf.reshape(asked, [batch * self.targets, self.said, self.width])
        if self.handed is not None:
            rows += self.handed(read)[:, None]
        said = self.drop(self.decoder(rows, states, training=training), training=training)
        said = tf.reshape(self.forecast(said), [batch, self.targets, -1, len(self.levels)])
        said = tf.transpose(said[:, :, : self.horizon], [0, 2, 1, 3])
        if self.linear:
            said += self._mapped(series, self.line)
        said = tf.sort(said)
        if self.linear:
            middle = self.levels.index(0.5)
            median = said[..., middle : middle + 1]
            said += (1.0 - self.share) * (self._mapped(series, self.fitted) - median)
        return said * scale[..., None] + shift[..., None]

    def begin(self, line: np.ndarray) -> None:
        """Take the linear map, `(linear, horizon)`, as it was fitted before training."""
        self.line.assign(line)
        self.fitted.assign(line)

    def _mapped(self, series: tf.Tensor, line: tf.Tensor) -> tf.Tensor:
        """What a linear map says of windows, `(batch, horizon, targets, 1)`."""
        line = tf.convert_to_tensor(line)
        return tf.einsum("blc,lh->bhc", series[:, -self.linear :], line)[..., None]

    def _cut(self, rows: tf.Tensor, count: int) -> tf.Tensor:
        """Rows `(batch, rows, channels)` as segments `(batch, count, segment * channels)`."""
        return tf.reshape(rows, [tf.shape(rows)[0], count, self.segment * rows.shape[-1]])
