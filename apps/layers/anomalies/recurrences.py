"""Recurrences over rows that need no loop over them."""

from __future__ import annotations

import tensorflow as tf

# Rows of a piece: what fades within it stays far from the smallest number.
_PIECE = 256


def linear_recurrence(kept: tf.Tensor, added: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """`y[t] = kept[t] * y[t - 1] + added[t]`, from `y[-1] = first` on.

    Within a piece the sum is taken in units of what is left of the first value.

    Args:
        kept: `(batch, rows, channels)` float64, from 0.5 to 1.
        added: likewise, of any size.
        first: `(batch, channels)` float64.

    Returns:
        `(batch, rows, channels)` float64.
    """
    rows, channels = tf.shape(kept)[1], kept.shape[-1]
    pieces = tf.maximum((rows + _PIECE - 1) // _PIECE, 1)
    missing = pieces * _PIECE - rows
    kept = tf.pad(kept, [[0, 0], [0, missing], [0, 0]], constant_values=1.0)
    added = tf.pad(added, [[0, 0], [0, missing], [0, 0]])
    shape = [None, _PIECE, channels]
    found = tf.TensorArray(tf.float64, pieces, element_shape=shape)

    def go_on(piece: tf.Tensor, before: tf.Tensor, found: tf.TensorArray) -> tuple:
        start = piece * _PIECE
        left = tf.exp(tf.cumsum(tf.math.log(kept[:, start : start + _PIECE]), 1))
        sums = tf.cumsum(added[:, start : start + _PIECE] / left, 1)
        after = left * (before[:, None] + sums)
        after = tf.ensure_shape(after, shape)
        return piece + 1, after[:, -1], found.write(piece, after)

    first = tf.ensure_shape(first, [None, channels])
    begun = (tf.constant(0), first, found)
    _, _, found = tf.while_loop(lambda piece, *_: piece < pieces, go_on, begun)
    joined = tf.transpose(found.stack(), [1, 0, 2, 3])
    return tf.reshape(joined, [tf.shape(kept)[0], rows + missing, channels])[:, :rows]


def carried_on(values: tf.Tensor, there: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Values with the one before where there is none.

    Args:
        values: `(batch, rows, channels)`.
        there: likewise, bool.
        first: `(batch, channels)`, the value before the first row.

    Returns:
        `(batch, rows, channels)`.
    """
    rows = tf.shape(values)[1]
    # The first value stands in front as the row 0.
    whole = tf.concat([first[:, None], values], 1)
    places = tf.transpose(
        tf.where(there, tf.range(1, rows + 1)[None, :, None], rows + 1), [0, 2, 1]
    )
    places = tf.concat([tf.zeros_like(places[:, :, :1]), places], 2)
    seen = tf.cumsum(tf.transpose(tf.cast(there, tf.int32), [0, 2, 1]), 2)
    last = tf.gather(tf.sort(places, 2), seen, batch_dims=2)
    return tf.transpose(tf.gather(tf.transpose(whole, [0, 2, 1]), last, batch_dims=2), [0, 2, 1])


def smoothed(values: tf.Tensor, there: tf.Tensor, rows: int, first: tf.Tensor) -> tf.Tensor:
    """Exponentially weighted means over about so many rows; arguments as of the others."""
    weight = tf.where(there, tf.constant(2.0 / (rows + 1), tf.float64), 0.0)
    return linear_recurrence(1.0 - weight, weight * values, first)
