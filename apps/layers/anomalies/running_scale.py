"""Mean and deviation of a stream up to each of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from apps.layers.anomalies.recurrences import (
    carried_on,
    linear_recurrence,
    linear_recurrences,
    rows_before,
)

# Means go over all rows at first, then fade over so many.
_FADING = 1000.0
# A sensor that has become quiet is not taken for less than this share of what it has been.
_QUIET = 0.05
# Of the size of the numbers: less than that is rounding.
_ROUNDING, _LEAST = 1e-9, 1e-6
_FAR = 1e15
# Squares of larger numbers are none.
_LARGEST = 1e150
STATES = ("count", "origin", "mean", "variance", "whole", "last")


class Scaled(NamedTuple):
    """Rows in their own unit.

    Attributes:
        values: `(batch, rows, channels)` float64, holes filled with the value before.
        there: likewise, bool: whether there is a value.
        count: float64, values up to and with each row.
        shift, scale: float64, mean and deviation over the rows before each one, above 0.
        steps: float64, difference to the value before.
        states: for the rows that follow, by name.
    """

    values: tf.Tensor
    there: tf.Tensor
    count: tf.Tensor
    shift: tf.Tensor
    scale: tf.Tensor
    steps: tf.Tensor
    states: dict[str, tf.Tensor]

    def squashed(self, values: tf.Tensor) -> tf.Tensor:
        """Values of each row's time in the unit that the network sees, float32."""
        return squash((values - self.shift) / self.scale)

    def restored(self, squashed: tf.Tensor) -> tf.Tensor:
        """Values in the unit of the data, float64, of squashed ones."""
        bounded = tf.clip_by_value(tf.cast(squashed, tf.float64), -20.0, 20.0)
        # The hyperbolic sine, of which onnxruntime has none in double precision.
        return self.shift + self.scale * (tf.exp(bounded) - tf.exp(-bounded)) / 2.0


def squash(values: tf.Tensor) -> tf.Tensor:
    """The inverse hyperbolic sine in float32: linear near 0, a logarithm far from it."""
    return tf.asinh(tf.cast(tf.clip_by_value(values, -_FAR, _FAR), tf.float32))


def running_scale(series: tf.Tensor, states: Mapping[str, tf.Tensor]) -> Scaled:
    """Scale each row by the rows before it, which is all that a stream knows.

    Exponentially weighted moments in the order of the rows: West 1979, "Updating mean and variance
    estimates: an improved method".

    Args:
        series: `(batch, rows, channels)` float64, NaN for holes.
        states: those named in `STATES`, `(batch, channels)` float64; zeros at the beginning.
    """
    there = tf.math.is_finite(series)
    series = tf.clip_by_value(series, -_LARGEST, _LARGEST)
    seen = tf.cast(there, tf.float64)
    count = states["count"][:, None] + tf.cumsum(seen, 1)
    began = count - seen > 0
    values = carried_on(series, there, states["last"])
    # Means are taken of differences to the first value, so that large numbers keep their digits.
    first = tf.reduce_sum(tf.where(there & ~began, values, 0.0), 1)
    origin = tf.where(states["count"] > 0, states["origin"], first)
    apart = tf.where(count > 0, values - origin[:, None], 0.0)
    weight = tf.maximum(1.0 / tf.maximum(count, 2.0), 1.0 / _FADING)
    weight = tf.where(there & began, weight, 0.0)
    means = linear_recurrence(1.0 - weight, weight * apart, states["mean"])
    before = rows_before(means, states["mean"])
    squares = tf.where(there, tf.square(apart - before), 0.0)
    even = tf.where(there & began, 1.0 / tf.maximum(count, 2.0), 0.0)
    variances, wholes = linear_recurrences(
        (1.0 - weight, (1.0 - weight) * weight * squares, states["variance"]),
        (1.0 - even, (1.0 - even) * even * squares, states["whole"]),
    )
    recent = tf.sqrt(rows_before(variances, states["variance"]))
    scale = tf.maximum(recent, _QUIET * tf.sqrt(rows_before(wholes, states["whole"])))
    shift = tf.where(count > 0, origin[:, None] + before, 0.0)
    scale = tf.maximum(scale, _ROUNDING * tf.maximum(tf.abs(shift), _LEAST))
    steps = tf.where(there & began, values - rows_before(values, states["last"]), 0.0)
    ends = (count, means, variances, wholes, values)
    names = (name for name in STATES if name != "origin")
    after = {name: array[:, -1] for name, array in zip(names, ends, strict=True)}
    return Scaled(values, there, count, shift, scale, steps, {**after, "origin": origin})


def fixed_scale(
    series: tf.Tensor,
    states: Mapping[str, tf.Tensor],
    mean: Sequence[float],
    deviation: Sequence[float],
) -> Scaled:
    """Scale all rows alike; arguments and result as of `running_scale`.

    Args:
        series: `(batch, rows, channels)` float64, NaN for holes.
        states: those named in `STATES`, `(batch, channels)` float64; zeros at the beginning.
        mean: of each channel.
        deviation: likewise, above 0.
    """
    there = tf.math.is_finite(series)
    zeros = tf.zeros_like(series)
    shift, scale = (zeros + tf.constant(one, tf.float64) for one in (mean, deviation))
    count = states["count"][:, None] + tf.cumsum(tf.cast(there, tf.float64), 1)
    before = tf.where(states["count"] > 0, states["last"], shift[:, 0])
    series = tf.clip_by_value(series, -_LARGEST, _LARGEST)
    values = carried_on(series, there, before)
    steps = tf.where(there, values - rows_before(values, before), zeros)
    ends = {"count": count[:, -1], "last": values[:, -1]}
    kept = {name: states[name] for name in STATES}
    return Scaled(values, there, count, shift, scale, steps, {**kept, **ends})
