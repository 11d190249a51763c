"""Thresholds of smoothed errors that follow the errors themselves, as in telemanom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from apps.layers.anomalies.recurrences import smoothed
from apps.layers.untrained import Untrained

# Rows that a threshold is chosen from, and rows after which it is chosen again.
HISTORY, _EVERY = 2100, 70
# Rows over which errors are smoothed: 5 % of the history.
_SMOOTHED = 105
# Thresholds that are tried, in standard deviations above the mean.
_FROM, _STEP, _TRIED = 2.5, 0.5, 20
# What one threshold may flag at most: stretches, and a share of the rows.
_MOST_STRETCHES, _MOST_SHARE = 5.0, 0.5
# Flagged rows with so many rows between them are of one stretch.
_APART = 100
# By how much an error has to exceed the largest usual one, and what is none whatever the others.
_PRUNED, _NONE = 0.13, 0.05
# A threshold needs so many errors.
_WARM = 100.0
_TILT = 1e-9
_LEAST = 1e-12


@keras.saving.register_keras_serializable("apps")
class DynamicThreshold(Untrained):
    """Smoothed errors as multiples of a threshold that is chosen from those before.

    The threshold is the one of mean plus z standard deviations of the last 2,100 errors without
    whose larger errors mean and deviation fall most, for few rows and stretches of them; an error
    that exceeds the largest of the others by less than 13 % is pruned. Hundman et al. 2018,
    "Detecting spacecraft anomalies using LSTMs and nonparametric dynamic thresholding", section
    3.2. There it looks at batches of 70 rows whole; here it is chosen at every 70th row and holds
    for the next ones, so that no row is judged by later ones.

    Args:
        channels: errors of a row.

    Call arguments:
        errors: `(batch, rows, channels)` float64, at least 0.
        known: likewise, bool: whether there is an error.
        lengths: `(batch,)` int32, rows of each.
        states: as `state_specs` names them; zeros at the beginning.

    Returns:
        `(batch, rows, channels)` float32, 1 and more for an anomaly; and the next states.
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def state_specs(self) -> dict[str, tf.TensorSpec]:
        """The states of a stream by name, `(batch, …)` float64."""
        c = self.channels
        shapes: dict[str, tuple[int, ...]] = {"history": (HISTORY, c), "usual": (c,)}
        shapes |= {"threshold": (c,), "smooth": (c,), "number": (1,)}
        return {
            f"state_dynamic_{n}": tf.TensorSpec((None, *s), tf.float64) for n, s in shapes.items()
        }

    def call(
        self,
        errors: tf.Tensor,
        known: tf.Tensor,
        lengths: tf.Tensor,
        states: Mapping[str, tf.Tensor],
        training: bool = False,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        if training:
            return tf.zeros_like(errors, tf.float32), dict(states)
        own = {name.removeprefix("state_dynamic_"): value for name, value in states.items()}
        rows = tf.shape(errors)[1]
        smooth = smoothed(errors, known, _SMOOTHED, own["smooth"])
        # What is no error is told from one by being negative.
        history = tf.concat([own["history"], tf.where(known, smooth + 1.0, 0.0)], 1)
        before = tf.cast(own["number"][:, 0], tf.int32)
        # Thresholds are chosen behind rows whose number in the stream is a multiple.
        first = (_EVERY - 1 - before) % _EVERY
        points = (rows + _EVERY - 1) // _EVERY
        chosen = tf.TensorArray(tf.float64, points, element_shape=[None, 2, self.channels])
        begun = tf.stack([own["threshold"], own["usual"]], 1)
        last = tf.ensure_shape(begun, [None, 2, self.channels])

        def go_on(point: tf.Tensor, last: tf.Tensor, chosen: tf.TensorArray) -> tuple:
            place = first + point * _EVERY
            there = (place < lengths)[:, None, None]
            where = tf.minimum(place, rows - 1)[:, None] + 1 + tf.range(HISTORY)[None]
            found = tf.stack(_threshold(tf.gather(history, where, batch_dims=1)), 1)
            last = tf.ensure_shape(tf.where(there, found, last), [None, 2, self.channels])
            return point + 1, last, chosen.write(point, last)

        started = (tf.constant(0), last, chosen)
        _, after, chosen = tf.while_loop(lambda point, *_: point < points, go_on, started)
        # A row is judged by what was chosen before it.
        known_ones = tf.concat([last[:, None], tf.transpose(chosen.stack(), [1, 0, 2, 3])], 1)
        which = (tf.range(rows)[None] + _EVERY - 1 - first[:, None]) // _EVERY
        threshold, usual = tf.unstack(tf.gather(known_ones, which, batch_dims=1), axis=2)
        score = smooth / tf.maximum(threshold, _LEAST)
        pruned = smooth < (1.0 + _PRUNED) * usual
        score = tf.where(pruned, tf.minimum(score, 1.0 - _PRUNED), score)
        score = tf.where(known & (threshold > 0), score, tf.zeros_like(score))
        ends = lengths[:, None] + tf.range(HISTORY)[None]
        names = {
            "history": tf.gather(history, ends, batch_dims=1),
            "threshold": after[:, 0],
            "usual": after[:, 1],
            "smooth": smooth[:, -1],
            "number": (own["number"] + tf.cast(lengths[:, None], tf.float64)) % (1000.0 * _EVERY),
        }
        found = {f"state_dynamic_{name}": value for name, value in names.items()}
        return tf.cast(score, tf.float32), found

    def compute_output_spec(
        self, errors: Any, known: Any, lengths: Any, states: Any, training: bool = False
    ) -> tuple[Any, Any]:
        after = {
            name: keras.KerasTensor(one.shape, dtype="float64") for name, one in states.items()
        }
        return keras.KerasTensor(errors.shape, dtype="float32"), after

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}


def _threshold(history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Choose a threshold, and find the largest error below it.

    Args:
        history: `(batch, rows, channels)` float64, errors plus 1; 0 where there is none.

    Returns:
        `(batch, channels)` each; the threshold is 0 where errors are too few.
    """
    there = history > 0
    errors = history - 1.0
    count, mean, deviation = _moments(errors, there)
    tried = tf.constant([_FROM + _STEP * number for number in range(_TRIED + 1)], tf.float64)
    # All of them at once: `(batch, channels, tried)`, or with the rows as the second axis.
    at = tf.maximum(mean[..., None] + tried * deviation[..., None], _NONE)
    above = there[..., None] & (errors[..., None] > at[:, None])
    number = tf.reduce_sum(tf.cast(above, tf.float64), 1)
    _, below, spread = _moments(errors[..., None], there[..., None] & ~above)
    gain = 1.0 - below / tf.maximum(mean, _LEAST)[..., None]
    gain += 1.0 - spread / tf.maximum(deviation, _LEAST)[..., None]
    stretches = _stretches(above)
    value = gain / tf.maximum(tf.square(stretches) + number, 1.0)
    few = (stretches <= _MOST_STRETCHES) & (number < _MOST_SHARE * count[..., None])
    value = tf.where(few & (number > 0), value, -1.0 + tf.zeros_like(value))
    # Of those that flag the same rows, or none, the highest one, whatever way sums are rounded.
    value += _TILT * tf.range(_TRIED + 1, dtype=tf.float64)
    best = tf.argmax(value, -1, output_type=tf.int32)
    threshold = tf.gather(at, best, batch_dims=2)
    usual = tf.where(there & (errors <= threshold[:, None]), errors, tf.zeros_like(errors))
    enough = count >= _WARM
    return tf.where(enough, threshold, tf.zeros_like(threshold)), tf.reduce_max(usual, 1)


def _moments(errors: tf.Tensor, which: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Number, mean and standard deviation over rows."""
    weight = tf.cast(which, tf.float64)
    count = tf.reduce_sum(weight, 1)
    mean = tf.reduce_sum(weight * errors, 1) / tf.maximum(count, 1.0)
    squares = tf.reduce_sum(weight * tf.square(errors - mean[:, None]), 1)
    return count, mean, tf.sqrt(squares / tf.maximum(count, 1.0))


def _stretches(above: tf.Tensor) -> tf.Tensor:
    """Number of stretches of flagged rows that lie well apart."""
    total = tf.cumsum(tf.cast(above, tf.int32), 1)
    rest = [[0, 0], [0, 0]]
    earlier = tf.pad(total, [[0, 0], [_APART + 1, 0], *rest])[:, : -_APART - 1]
    last = tf.pad(total, [[0, 0], [1, 0], *rest])[:, :-1]
    begins = above & tf.equal(last, earlier)
    return tf.reduce_sum(tf.cast(begins, tf.float64), 1)
