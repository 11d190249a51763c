"""An LSTM autoencoder of the last rows of sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps.layers.anomalies.outputs import BAND, output_specs, state_outputs, stream_specs, unscored
from apps.layers.anomalies.running_scale import STATES, fixed_scale, running_scale
from apps.layers.anomalies.surprise import LARGEST, surprise
from apps.layers.recurrent_network import RecurrentNetwork

# How many rows before the last one those lie that are said again.
LAGS = (0, 1, 2, 3, 5, 8, 13, 21)
# Of the numbers that are said again, as many are in the code between.
_SHARE, _FEWEST = 4, 2
_LEAST_SPREAD = 1e-2
# Rows after which errors in a running scale say something.
_COLD = 80


@keras.saving.register_keras_serializable("apps")
class SensorAutoencoder(RecurrentNetwork):
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

    Call arguments, outputs and states are those of `SensorNetwork`; `middle` and `spread` are of
    the rows of `LAGS`, and `error` is the mean over them.
    """

    arguments: ClassVar[tuple[str, ...]] = ("channels", "scale")

    def __init__(
        self, channels: int, scale: Sequence[Sequence[float]] | None = None, **given: Any
    ) -> None:
        super().__init__(autocast=False, **given)
        self.channels = channels
        self.scale = None if scale is None else np.asarray(scale, float).tolist()
        self.stack = self._lstms(next(self._seeds) + 1000, return_state=True)
        self.drop = keras.layers.Dropout(self.output_dropout, seed=next(self._seeds), name="drop")
        width = max(channels * len(LAGS) // _SHARE, _FEWEST)
        self.code = self._dense(width, "code", "tanh")
        self.decoder = self._dense(2 * len(LAGS) * channels, "decoder")

    def build(self, *shapes: Any) -> None:
        self.stack.build((None, None, 2 * self.channels))
        self.code.build((None, None, self.stack.units[-1]))
        self.decoder.build((None, None, self.code.units))

    def state_specs(self) -> dict[str, tf.TensorSpec]:
        """The states of a stream by name, `(batch, …)`."""
        c = self.channels
        shapes: dict[str, tuple[int, ...]] = {"past": (LAGS[-1], 2 * c)}
        shapes |= {"errors": (c,), "largest": (c, LARGEST), **dict.fromkeys(STATES, (c,))}
        return stream_specs(shapes, self.stack)

    def call(
        self,
        series: tf.Tensor,
        lengths: tf.Tensor,
        states: Mapping[str, tf.Tensor],
        training: bool = False,
    ) -> dict[str, tf.Tensor]:
        own = {name.removeprefix("state_"): value for name, value in states.items()}
        real = tf.sequence_mask(lengths, tf.shape(series)[1])
        series = tf.where(real[..., None], series, tf.constant(float("nan"), tf.float64))
        if self.scale is None:
            scaled = running_scale(series, own)
        else:
            scaled = fixed_scale(series, own, *self.scale)
        there = tf.cast(scaled.there, tf.float32)
        read = tf.concat([scaled.squashed(scaled.values), there], -1)
        names = list(self.stack.state_specs())
        before = [own[name] for name in names]
        features, *cells = self.stack(read, before, mask=real, training=training)
        middle, spread = self._again(self.drop(features, training=training))
        found = {"middle": middle, "spread": spread, "shift": scaled.shift, "scale": scaled.scale}
        after = {**own, **scaled.states, **dict(zip(names, cells, strict=True))}
        if training:
            found |= unscored(scaled.values)
        else:
            past = tf.concat([tf.cast(own["past"], tf.float32), read], 1)
            error = self._error(past, middle, there)
            # At first neither the rows before are there nor, unless it is given, the scale.
            known = scaled.there & (scaled.count > (LAGS[-1] if self.scale else _COLD))
            rare, after["errors"], after["largest"] = surprise(
                error, known, own["errors"], own["largest"]
            )
            last = lengths[:, None] + tf.range(LAGS[-1])[None]
            after["past"] = tf.cast(tf.gather(past, last, batch_dims=1), tf.float64)
            found |= {"error": error, "known": known, "surprise": rare}
            band = BAND * spread[:, :, 0]
            for name, sign in (("expected", 0.0), ("low", -1.0), ("high", 1.0)):
                found[name] = scaled.restored(middle[:, :, 0] + sign * band)
        return {**found, **{name: after[name.removeprefix("state_")] for name in states}}

    def _again(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Median and spread of the rows of `LAGS`, `(batch, rows, lags, channels)`."""
        said = self.decoder(self.code(features))
        shape = [tf.shape(said)[0], tf.shape(said)[1], len(LAGS), 2, self.channels]
        middle, spread = tf.unstack(tf.reshape(said, shape), axis=3)
        return middle, tf.nn.softplus(spread) + _LEAST_SPREAD

    def _error(self, past: tf.Tensor, middle: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
        """Mean error of the rows that are said again, `(batch, rows, channels)` float64."""
        rows, total, count = tf.shape(middle)[1], 0.0, 0.0
        for number, lag in enumerate(LAGS):
            start = LAGS[-1] - lag
            values, was = tf.split(past[:, start : start + rows], 2, -1)
            total += was * tf.abs(values - middle[:, :, number])
            count += was
        return tf.cast(there * total / tf.maximum(count, 1.0), tf.float64)

    def compute_output_spec(
        self, series: Any, lengths: Any, states: Mapping[str, Any], training: bool = False
    ) -> dict[str, Any]:
        return output_specs(series, len(LAGS)) | state_outputs(states)
