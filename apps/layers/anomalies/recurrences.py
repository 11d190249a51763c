"""Recurrences over rows that need no loop over them, and nothing of it where there is one row."""

from __future__ import annotations

from collections.abc import Sequence

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
    if kept.shape[1] == 1:
        return kept * first[:, None] + added
    rows, channels = tf.shape(kept)[1], kept.shape[-1]
    pieces = tf.maximum((rows + _PIECE - 1) // _PIECE, 1)
    missing = pieces * _PIECE - rows
    shape = [tf.shape(kept)[0], pieces, _PIECE, channels]
    kept = tf.pad(kept, [[0, 0], [0, missing], [0, 0]], constant_values=1.0)
    left = tf.exp(tf.cumsum(tf.math.log(tf.reshape(kept, shape)), 2))
    added = tf.reshape(tf.pad(added, [[0, 0], [0, missing], [0, 0]]), shape)
    sums = tf.cumsum(added / left, 2)
    found = tf.TensorArray(tf.float64, pieces, element_shape=[None, channels])

    def go_on(piece: tf.Tensor, before: tf.Tensor, found: tf.TensorArray) -> tuple:
        after = left[:, piece, -1] * (before + sums[:, piece, -1])
        return piece + 1, tf.ensure_shape(after, [None, channels]), found.write(piece, before)

    first = tf.ensure_shape(first, [None, channels])
    begun = (tf.constant(0), first, found)
    _, _, found = tf.while_loop(lambda piece, *_: piece < pieces, go_on, begun)
    before = tf.transpose(found.stack(), [1, 0, 2])[:, :, None]
    return tf.reshape(left * (before + sums), [shape[0], rows + missing, channels])[:, :rows]


def linear_recurrences(
    *recurrences: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
) -> Sequence[tf.Tensor]:
    """Several of them at once, each `(kept, added, first)`, which is cheaper than one by one."""
    sizes = [kept.shape[-1] for kept, _, _ in recurrences]
    kept, added, first = (tf.concat(parts, -1) for parts in zip(*recurrences, strict=True))
    return tf.split(linear_recurrence(kept, added, first), sizes, -1)


def carried_on(values: tf.Tensor, there: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Values with the one before where there is none.

    Args:
        values: `(batch, rows, channels)`.
        there: likewise, bool.
        first: `(batch, channels)`, the value before the first row.

    Returns:
        `(batch, rows, channels)`.
    """
    if values.shape[1] == 1:
        return tf.where(there, values, first[:, None])
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


def smoothing(values: tf.Tensor, there: tf.Tensor, rows: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`kept` and `added` of an exponentially weighted mean over about so many rows."""
    weight = tf.where(there, tf.constant(2.0 / (rows + 1), tf.float64), 0.0)
    return 1.0 - weight, weight * values


def smoothed(values: tf.Tensor, there: tf.Tensor, rows: int, first: tf.Tensor) -> tf.Tensor:
    """The mean itself; arguments as of the others."""
    return linear_recurrence(*smoothing(values, there, rows), first)


def rows_before(values: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """The row before each one, likewise; that of the first is `first`, `(batch, channels)`."""
    if values.shape[1] == 1:
        return first[:, None]
    return tf.concat([first[:, None], values[:, :-1]], 1)
