"""How seldom an error as large as each one has been, from the largest ones that a stream had."""

from __future__ import annotations

import math

import tensorflow as tf

from apps.layers.loops import as_graph

# As many of the largest errors are remembered, and their tail begins at this share of all.
LARGEST = 32
_SHARE, _FEWEST = 0.005, 5
# Errors are not judged before so many have been seen.
_WARM = 50.0
# An error that is one of the remembered ones itself is not beyond it, however sums are rounded.
_ROUNDING = 1e-6
_LEAST_TAIL, _LEAST_ERROR, _MOST = 0.1, 1e-12, 30.0


def rarity(errors: tf.Tensor, count: tf.Tensor, largest: tf.Tensor) -> tf.Tensor:
    """Minus the decimal logarithm of the chance of an error as large, given those before it.

    Above a high quantile the tail is a Pareto distribution, its exponent after Hill 1975, "A simple
    general approach to inference about the tail of a distribution"; thresholds on such tails in
    streams: Siffer et al. 2017, "Anomaly detection in streams with extreme value theory".

    Args:
        errors: `(…, channels)` float64, at least 0.
        count: `(channels,)` or as `errors`, float64, errors seen before.
        largest: the same and `LARGEST` behind, the largest of them, falling; 0 for none.

    Returns:
        As `errors`, float64; 0 where an error is none of the largest.
    """
    place = tf.range(LARGEST, dtype=tf.float64)
    size = tf.clip_by_value(tf.floor(_SHARE * count), _FEWEST, LARGEST)
    inside = tf.cast(place < size[..., None], tf.float64)
    logs = tf.math.log(tf.maximum(largest, _LEAST_ERROR))
    begin = tf.reduce_sum(logs * tf.cast(tf.equal(place, size[..., None] - 1), tf.float64), -1)
    tail = tf.reduce_sum(inside * logs, -1) / size - begin
    beyond = tf.math.log(tf.maximum(errors, _LEAST_ERROR)) - begin
    value = tf.math.log(tf.maximum(count, 1.0) / size) + beyond / tf.maximum(tail, _LEAST_TAIL)
    value = tf.clip_by_value(value / math.log(10.0), 0.0, _MOST)
    return tf.where((beyond > _ROUNDING) & (count >= _WARM), value, 0.0)


@as_graph(2, 2, 1, 1)
def surprise(
    errors: tf.Tensor, there: tf.Tensor, count: tf.Tensor, largest: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """How rare each error of a stream is among those before it.

    Args:
        errors: `(batch, rows, channels)` float64, at least 0.
        there: likewise, bool: whether there is an error.
        count: `(batch, channels)` float64, errors seen before.
        largest: `(batch, channels, LARGEST)` float64, the largest of them, falling; 0 for none.

    Returns:
        `rarity` `(batch, rows, channels)` float32; the next `count`; the next `largest`.
    """
    channels = errors.shape[-1]
    rows = tf.shape(errors)[1]
    found = tf.TensorArray(tf.float32, rows, element_shape=[None, channels])

    def go_on(row: tf.Tensor, count: tf.Tensor, largest: tf.Tensor, found: tf.TensorArray) -> tuple:
        error = tf.where(there[:, row], errors[:, row], 0.0)
        value = rarity(error, count, largest)
        above = tf.concat([tf.fill(tf.shape(largest[..., :1]), tf.float64.max), largest], -1)
        largest = tf.maximum(tf.minimum(above[..., :-1], error[..., None]), largest)
        count += tf.cast(there[:, row], tf.float64)
        return row + 1, count, largest, found.write(row, tf.cast(value, tf.float32))

    count = tf.ensure_shape(count, [None, channels])
    largest = tf.ensure_shape(largest, [None, channels, LARGEST])
    if errors.shape[1] == 1:
        _, count, largest, found = go_on(0, count, largest, found)
        return tf.transpose(found.stack(), [1, 0, 2]), count, largest
    begun = (tf.constant(0), count, largest, found)
    _, count, largest, found = tf.while_loop(lambda row, *_: row < rows, go_on, begun)
    return tf.transpose(found.stack(), [1, 0, 2]), count, largest
