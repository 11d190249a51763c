"""LSTMs that say what sensors will show, and how surprising what they show is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from apps.layers.anomalies.recurrences import linear_recurrences, smoothing
from apps.layers.anomalies.running_scale import STATES, Scaled, running_scale, squash
from apps.layers.anomalies.sensor_model import BAND, SensorModel
from apps.layers.anomalies.surprise import LARGEST, surprise

# The expected value begins near the last one.
_STAYS = 3.0
_LEAST_SPREAD = 1e-3
# Rows over which errors are smoothed, and those that tell how much a sensor moves.
_SMOOTHED, _MOVING = 6, 24
_STILL = 0.02
# Rows after which errors in a running scale say something.
_COLD = 80
VIEWS = ("next", "ahead", "smoothed", "still")


@keras.saving.register_keras_serializable("apps")
class SensorNetwork(SensorModel):
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

    Call arguments and outputs are those of `SensorModel`; `error` is that of the row before.
    """

    said: ClassVar[int] = 2
    arguments: ClassVar[tuple[str, ...]] = ("channels", "ahead")

    def __init__(self, channels: int, ahead: int, **given: Any) -> None:
        super().__init__(channels, **given)
        self.ahead = ahead
        self.forecasts = self._dense(3 * self.said * channels, "forecasts")

    def build(self, *shapes: Any) -> None:
        self.stack.build((None, None, 3 * self.channels))
        self.forecasts.build((None, None, self.stack.units[-1]))

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        c = self.channels
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(STATES, (c,))
        shapes |= {"expected": (3, c), "coming": (self.ahead, c), "rows": (1,)}
        shapes |= {"smoothed": (c,), "moves": (c,), "usual_moves": (c,)}
        return shapes | {"errors": (len(VIEWS) * c,), "largest": (len(VIEWS) * c, LARGEST)}

    def scaled(self, series: tf.Tensor, own: Mapping[str, tf.Tensor]) -> Scaled:
        return running_scale(series, own)

    def read(self, scaled: Scaled) -> tf.Tensor:
        steps = squash(scaled.steps / scaled.scale)
        values = scaled.squashed(scaled.values)
        return tf.concat([values, steps, tf.cast(scaled.there, tf.float32)], -1)

    def say(self, features: tf.Tensor, scaled: Scaled) -> tuple[tf.Tensor, tf.Tensor]:
        said = tf.cast(self.forecasts(features), tf.float32)
        shape = [tf.shape(said)[0], tf.shape(said)[1], self.said, 3, self.channels]
        moved, stays, spread = tf.unstack(tf.reshape(said, shape), axis=3)
        values = scaled.squashed(scaled.values)
        middle = values[:, :, None] * tf.sigmoid(stays + _STAYS) + moved
        return middle, tf.nn.softplus(spread) + _LEAST_SPREAD

    def score(
        self,
        scaled: Scaled,
        middle: tf.Tensor,
        spread: tf.Tensor,
        own: Mapping[str, tf.Tensor],
        lengths: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        rows = tf.shape(scaled.values)[1]
        real = tf.sequence_mask(lengths, rows)
        next_row, band = middle[:, :, 0], BAND * spread[:, :, 0]
        said = tf.stack([scaled.restored(next_row + s * band) for s in (0.0, -1.0, 1.0)], 2)
        said = tf.concat([own["expected"][:, None], said], 1)
        far = tf.concat([own["coming"], scaled.restored(middle[:, :, 1])], 1)
        number = own["rows"] + tf.cast(tf.range(rows), tf.float64)[None]
        began = scaled.count - tf.cast(scaled.there, tf.float64) > 0
        expected, low, high = tf.unstack(said[:, :-1], axis=2)
        near_error = tf.where(scaled.there & began, tf.abs(scaled.values - expected), 0.0)
        known = scaled.there & (number >= self.ahead)[..., None]
        error = tf.where(known, scaled.values - far[:, :rows], 0.0)
        moved = tf.abs(scaled.steps)
        weight = tf.where(scaled.there, 1.0 / tf.maximum(scaled.count, 1.0), 0.0)
        weight = tf.minimum(weight, 0.5)
        smooth, moves, usual = linear_recurrences(
            (*smoothing(error, known, _SMOOTHED), own["smoothed"]),
            (*smoothing(moved, scaled.there, _MOVING), own["moves"]),
            (1.0 - weight, weight * moved, own["usual_moves"]),
        )
        still = tf.where(usual > 0, usual / (moves + _STILL * usual), 0.0)
        errors = tf.concat([near_error, tf.abs(error), tf.abs(smooth), still], -1)
        there = tf.concat([scaled.there & began, known, known, scaled.there & (usual > 0)], -1)
        rare, count, largest = surprise(errors, there, own["errors"], own["largest"])
        near, ahead, lasting, quiet = tf.split(rare, len(VIEWS), -1)
        scores = tf.maximum(near, ahead + lasting + quiet)
        ends = lengths[:, None]
        after = {
            "rows": own["rows"] + tf.cast(ends, tf.float64),
            "expected": tf.gather(said, lengths, batch_dims=1),
            "coming": tf.gather(far, ends + tf.range(self.ahead)[None], batch_dims=1),
            "smoothed": smooth[:, -1],
            "moves": moves[:, -1],
            "usual_moves": usual[:, -1],
            "errors": count,
            "largest": largest,
        }
        bounds = {"expected": expected, "low": low, "high": high}
        # Of the first row nothing is expected.
        bounds = {n: tf.where(began & real[..., None], v, scaled.values) for n, v in bounds.items()}
        error = near_error / scaled.scale
        known = scaled.there & (scaled.count > _COLD)
        found = {"surprise": scores, "error": error, "known": known, **bounds}
        return found, after
