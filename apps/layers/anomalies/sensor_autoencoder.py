"""An LSTM autoencoder of the last rows of sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps.layers.anomalies.running_scale import STATES, Scaled, fixed_scale, running_scale
from apps.layers.anomalies.sensor_model import BAND, SensorModel
from apps.layers.anomalies.surprise import LARGEST, surprise

# How many rows before the last one those lie that are said again.
LAGS = (0, 1, 2, 3, 5, 8, 13, 21)
# Of the numbers that are said again, as many are in the code between.
_SHARE, _FEWEST = 4, 2
_LEAST_SPREAD = 1e-2
# Rows after which errors in a running scale say something.
_COLD = 80


@keras.saving.register_keras_serializable("apps")
class SensorAutoencoder(SensorModel):
    """An LSTM whose state after each row is squeezed into a small code, and the last rows from it.

    Reconstruction errors as scores: Malhotra et al. 2016, "LSTM-based encoder-decoder for
    multi-sensor anomaly detection". There a second LSTM says a window of rows again, which has to
    be complete first; here the state is carried on, and a dense layer says the rows 0, 1, 2, 3, 5,
    8, 13 and 21 before at each row, so that a row costs one step and waits for no other.

    Args:
        channels: sensors.
        scale: mean and deviation of each channel in training, `(2, channels)`; by the rows so far
            unless given.
        **given: arguments of `RecurrentNetwork`.

    Call arguments and outputs are those of `SensorModel`; the rows of `LAGS` are said, and
    `error` is the mean over them.
    """

    said: ClassVar[int] = len(LAGS)
    arguments: ClassVar[tuple[str, ...]] = ("channels", "scale")

    def __init__(
        self, channels: int, scale: Sequence[Sequence[float]] | None = None, **given: Any
    ) -> None:
        super().__init__(channels, **given)
        self.scale = None if scale is None else np.asarray(scale, float).tolist()
        width = max(channels * self.said // _SHARE, _FEWEST)
        self.code = self._dense(width, "code", "tanh")
        self.decoder = self._dense(2 * self.said * channels, "decoder")

    def build(self, *shapes: Any) -> None:
        self.stack.build((None, None, 2 * self.channels))
        self.code.build((None, None, self.stack.units[-1]))
        self.decoder.build((None, None, self.code.units))

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        c = self.channels
        shapes: dict[str, tuple[int, ...]] = {"past": (LAGS[-1], 2 * c)}
        return shapes | {"errors": (c,), "largest": (c, LARGEST), **dict.fromkeys(STATES, (c,))}

    def scaled(self, series: tf.Tensor, own: Mapping[str, tf.Tensor]) -> Scaled:
        if self.scale is None:
            return running_scale(series, own)
        return fixed_scale(series, own, *self.scale)

    def read(self, scaled: Scaled) -> tf.Tensor:
        values = scaled.squashed(scaled.values)
        return tf.concat([values, tf.cast(scaled.there, tf.float32)], -1)

    def say(self, features: tf.Tensor, scaled: Scaled) -> tuple[tf.Tensor, tf.Tensor]:
        said = tf.cast(self.decoder(self.code(features)), tf.float32)
        shape = [tf.shape(said)[0], tf.shape(said)[1], self.said, 2, self.channels]
        middle, spread = tf.unstack(tf.reshape(said, shape), axis=3)
        return middle, tf.nn.softplus(spread) + _LEAST_SPREAD

    def score(
        self,
        scaled: Scaled,
        middle: tf.Tensor,
        spread: tf.Tensor,
        own: Mapping[str, tf.Tensor],
        lengths: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        past = tf.concat([tf.cast(own["past"], tf.float32), self.read(scaled)], 1)
        error = self._error(past, middle, tf.cast(scaled.there, tf.float32))
        # At first neither the rows before are there nor, unless it is given, the scale.
        known = scaled.there & (scaled.count > (LAGS[-1] if self.scale else _COLD))
        rare, errors, largest = surprise(error, known, own["errors"], own["largest"])
        found = {"error": error, "known": known, "surprise": rare}
        band = BAND * spread[:, :, 0]
        for name, sign in (("expected", 0.0), ("low", -1.0), ("high", 1.0)):
            found[name] = scaled.restored(middle[:, :, 0] + sign * band)
        last = lengths[:, None] + tf.range(LAGS[-1])[None]
        past = tf.cast(tf.gather(past, last, batch_dims=1), tf.float64)
        return found, {"errors": errors, "largest": largest, "past": past}

    def _error(self, past: tf.Tensor, middle: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
        """Mean error of the rows that are said again, `(batch, rows, channels)` float64."""
        rows, total, count = tf.shape(middle)[1], 0.0, 0.0
        for number, lag in enumerate(LAGS):
            start = LAGS[-1] - lag
            values, was = tf.split(past[:, start : start + rows], 2, -1)
            total += was * tf.abs(values - middle[:, :, number])
            count += was
        return tf.cast(there * total / tf.maximum(count, 1.0), tf.float64)
