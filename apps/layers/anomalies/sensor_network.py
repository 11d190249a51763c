"""LSTMs that say what sensors will show, and how surprising what they show is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from apps.layers.anomalies.outputs import BAND, output_specs, state_outputs, stream_specs, unscored
from apps.layers.anomalies.recurrences import linear_recurrence, smoothed
from apps.layers.anomalies.running_scale import STATES, Scaled, running_scale, squash
from apps.layers.anomalies.surprise import LARGEST, surprise
from apps.layers.recurrent_network import RecurrentNetwork

# The expected value begins near the last one.
_STAYS = 3.0
_LEAST_SPREAD = 1e-3
# Rows over which errors are smoothed, and those that tell how much a sensor moves.
_SMOOTHED, _MOVING = 6, 24
_STILL = 0.02
# Rows after which errors in a running scale say something.
_COLD = 80
VIEWS = ("next", "ahead", "smoothed", "still")


class Forecast(NamedTuple):
    """What is said of the rows that come, in the unit of `Scaled.squashed`.

    Attributes:
        middle, spread: `(batch, rows, distances, channels)` float32, median and scale of a Laplace
            distribution of the value so many rows later.
    """

    middle: tf.Tensor
    spread: tf.Tensor


@keras.saving.register_keras_serializable("apps")
class SensorNetwork(RecurrentNetwork):
    """An LSTM over scaled rows, its forecasts of the next row and of one further ahead, and scores.

    Each row is scored by the row before and by what came before that, never by later ones, so that
    a stream gives the same scores whatever it is cut into. A channel's score is the larger one of
    the surprise at the error of the forecast of the row before, and the sum of that at the error of
    the forecast made `ahead` rows before, that at the same error smoothed (Hundman et al. 2018,
    "Detecting spacecraft anomalies using LSTMs and nonparametric dynamic thresholding", section
    3.2), and that at how little the sensor moves.

    Args:
        channels: sensors.
        ahead: rows of the further forecast.
        **given: arguments of `RecurrentNetwork`.

    Call arguments:
        series: `(batch, rows, channels)` float64, NaN for holes.
        lengths: `(batch,)` int32, rows of each.
        states: as `state_specs` names them; zeros at the beginning.
        training: whether dropout applies; scores are then left out.

    Returns:
        `middle` and `spread` of `Forecast`; `shift` and `scale` of `Scaled`; `surprise` `(batch,
        rows, channels)` float32; `error`, that of the row before in the row's unit, and `known`,
        whether there is one; `expected`, `low` and `high` `(batch, rows, channels)` float64, what
        the row before says of each row, its band holding 90 %; and the states by name.
    """

    arguments: ClassVar[tuple[str, ...]] = ("channels", "ahead")

    def __init__(self, channels: int, ahead: int, **given: Any) -> None:
        super().__init__(autocast=False, **given)
        self.channels, self.ahead = channels, ahead
        self.stack = self._lstms(next(self._seeds) + 1000, return_state=True)
        drop = self.output_dropout
        self.drop = keras.layers.Dropout(drop, seed=next(self._seeds), name="drop")
        self.forecasts = self._dense(3 * 2 * channels, "forecasts")

    def build(self, *shapes: Any) -> None:
        self.stack.build((None, None, 3 * self.channels))
        self.forecasts.build((None, None, self.stack.units[-1]))

    def state_specs(self) -> dict[str, tf.TensorSpec]:
        """The states of a stream by name, `(batch, …)`."""
        c = self.channels
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(STATES, (c,))
        shapes |= {"expected": (3, c), "coming": (self.ahead, c), "rows": (1,)}
        shapes |= {"smoothed": (c,), "moves": (c,), "usual_moves": (c,)}
        shapes |= {"errors": (len(VIEWS) * c,), "largest": (len(VIEWS) * c, LARGEST)}
        return stream_specs(shapes, self.stack)

    def call(
        self,
        series: tf.Tensor,
        lengths: tf.Tensor,
        states: Mapping[str, tf.Tensor],
        training: bool = False,
    ) -> dict[str, tf.Tensor]:
        own = {name.removeprefix("state_"): value for name, value in states.items()}
        rows = tf.shape(series)[1]
        real = tf.sequence_mask(lengths, rows)
        series = tf.where(real[..., None], series, tf.constant(float("nan"), tf.float64))
        scaled = running_scale(series, own)
        forecast, cells = self._forecast(scaled, own, real, training)
        # What is padded changes nothing but the rows counted, which are taken from the lengths.
        found = {
            "middle": forecast.middle,
            "spread": forecast.spread,
            "shift": scaled.shift,
            "scale": scaled.scale,
        }
        if training:
            found |= unscored(scaled.values)
            after = {**own, **scaled.states}
        else:
            scores, after = self._scored(scaled, forecast, own, lengths)
            found |= scores
        after |= cells
        return {**found, **{name: after[name.removeprefix("state_")] for name in states}}

    def _forecast(
        self, scaled: Scaled, own: Mapping[str, tf.Tensor], real: tf.Tensor, training: bool
    ) -> tuple[Forecast, dict[str, tf.Tensor]]:
        values = scaled.squashed(scaled.values)
        steps = squash(scaled.steps / scaled.scale)
        read = tf.concat([values, steps, tf.cast(scaled.there, tf.float32)], -1)
        names = list(self.stack.state_specs())
        features, *after = self.stack(
            read, [own[name] for name in names], mask=real, training=training
        )
        said = self.forecasts(self.drop(features, training=training))
        shape = [tf.shape(said)[0], tf.shape(said)[1], 2, 3, self.channels]
        moved, stays, spread = tf.unstack(tf.reshape(said, shape), axis=3)
        middle = values[:, :, None] * tf.sigmoid(stays + _STAYS) + moved
        spread = tf.nn.softplus(spread) + _LEAST_SPREAD
        return Forecast(middle, spread), dict(zip(names, after, strict=True))

    def _scored(
        self,
        scaled: Scaled,
        forecast: Forecast,
        own: Mapping[str, tf.Tensor],
        lengths: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        rows = tf.shape(scaled.values)[1]
        real = tf.sequence_mask(lengths, rows)
        next_row, spread = forecast.middle[:, :, 0], BAND * forecast.spread[:, :, 0]
        said = tf.stack([scaled.restored(next_row + s * spread) for s in (0.0, -1.0, 1.0)], 2)
        said = tf.concat([own["expected"][:, None], said], 1)
        far = tf.concat([own["coming"], scaled.restored(forecast.middle[:, :, 1])], 1)
        number = own["rows"] + tf.cast(tf.range(rows), tf.float64)[None]
        began = scaled.count - tf.cast(scaled.there, tf.float64) > 0
        expected, low, high = tf.unstack(said[:, :-1], axis=2)
        near_error = tf.where(scaled.there & began, tf.abs(scaled.values - expected), 0.0)
        known = scaled.there & (number >= self.ahead)[..., None]
        error = tf.where(known, scaled.values - far[:, :rows], 0.0)
        smooth = smoothed(error, known, _SMOOTHED, own["smoothed"])
        moved = tf.abs(scaled.steps)
        moves = smoothed(moved, scaled.there, _MOVING, own["moves"])
        weight = tf.where(scaled.there, 1.0 / tf.maximum(scaled.count, 1.0), 0.0)
        weight = tf.minimum(weight, 0.5)
        usual = linear_recurrence(1.0 - weight, weight * moved, own["usual_moves"])
        still = tf.where(usual > 0, usual / (moves + _STILL * usual), 0.0)
        errors = tf.concat([near_error, tf.abs(error), tf.abs(smooth), still], -1)
        there = tf.concat([scaled.there & began, known, known, scaled.there & (usual > 0)], -1)
        rare, count, largest = surprise(errors, there, own["errors"], own["largest"])
        near, ahead, lasting, quiet = tf.split(rare, len(VIEWS), -1)
        scores = tf.maximum(near, ahead + lasting + quiet)
        ends = lengths[:, None]
        after = {
            **scaled.states,
            "rows": own["rows"] + tf.cast(ends, tf.float64),
            "expected": tf.gather(said, lengths, batch_dims=1),
            "coming": tf.gather(far, ends + tf.range(self.ahead)[None], batch_dims=1),
            "smoothed": smooth[:, -1],
            "moves": moves[:, -1],
            "usual_moves": usual[:, -1],
            "errors": count,
            "largest": largest,
        }
        band = {"expected": expected, "low": low, "high": high}
        # Of the first row nothing is expected.
        band = {n: tf.where(began & real[..., None], v, scaled.values) for n, v in band.items()}
        error = near_error / scaled.scale
        known = scaled.there & (scaled.count > _COLD)
        found = {"surprise": scores, "error": error, "known": known, **band}
        return found, after

    def compute_output_spec(
        self, series: Any, lengths: Any, states: Mapping[str, Any], training: bool = False
    ) -> dict[str, Any]:
        return output_specs(series, 2) | state_outputs(states)
