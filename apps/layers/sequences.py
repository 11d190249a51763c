"""Masks and direction: how the steps of a batch are rearranged for a kernel, and back.

Kernels process every row from its first step on. `Layout` moves the unmasked steps to the front of
each row, in processing order, and moves the results back to where `keras.layers.LSTM` puts them.
"""

from dataclasses import dataclass

import tensorflow as tf

from apps.layers.kernels.dispatch import in_xla


@dataclass(frozen=True)
class Layout:
    """Where the steps of a masked batch are.

    Attributes:
        mask: which steps count, in processing order, `(batch, time)`, bool.
        lengths: how many steps of each row count, `(batch,)`, int32.
        padded: whether every row is padded on the right in the order of the input, `()`, bool.
        backwards: whether steps are processed from the last to the first.
    """

    mask: tf.Tensor
    lengths: tf.Tensor
    padded: tf.Tensor
    backwards: bool

    @classmethod
    def of(cls, mask: tf.Tensor, backwards: bool) -> "Layout":
        """The layout of a mask, `(batch, time)`, bool, in the order of the input."""
        lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
        right_padded = tf.sequence_mask(lengths, tf.shape(mask)[1])
        padded = tf.reduce_all(tf.equal(mask, right_padded))
        return cls(tf.reverse(mask, [1]) if backwards else mask, lengths, padded, backwards)

    def gather(self, x: tf.Tensor) -> tf.Tensor:
        """Move each row's steps to its front: `(batch, time, features)` in and out."""

        def in_place():
            return tf.reverse_sequence(x, self.lengths, seq_axis=1) if self.backwards else x

        def moved():
            steps = tf.reverse(x, [1]) if self.backwards else x
            order = tf.argsort(tf.cast(~self.mask, tf.int32), axis=1, stable=True)
            return _take(steps, order)

        return tf.cond(self.padded, in_place, moved)

    def scatter(self, hidden: tf.Tensor, zero_masked: bool) -> tf.Tensor:
        """Move hidden states back to their steps, in processing order.

        Args:
            hidden: hidden states, each row's steps at its front, `(batch, time, units)`.
            zero_masked: return zeros at masked steps; otherwise they repeat the step before
                them, and are zeros if there is none.

        Returns:
            `(batch, time, units)`.
        """
        count = tf.cumsum(tf.cast(self.mask, tf.int32), axis=1)
        shown = self.mask if zero_masked else count > 0

        def moved():
            return _take(hidden, tf.maximum(count - 1, 0))

        if zero_masked and not self.backwards:
            placed = tf.cond(self.padded, lambda: hidden, moved)
        else:
            placed = moved()
        return tf.where(shown[..., None], placed, tf.zeros([], hidden.dtype))

    def last(self, states: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        """The state after each row's last step; `first` if a row has none.

        Args:
            states: states after every step, `(time, batch, width)`.
            first: states before the first step, `(batch, width)`.

        Returns:
            `(batch, width)`.
        """
        index = tf.stack([tf.maximum(self.lengths - 1, 0), tf.range(tf.shape(states)[1])], 1)
        return tf.where(self.lengths[:, None] > 0, tf.gather_nd(states, index), first)


def _take(values: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Steps `(batch, time)` of each row of `values`, `(batch, time, width)`."""
    if not in_xla():
        return tf.gather(values, steps, batch_dims=1)
    # XLA does not compile the gradient of the gradient of a gather within rows.
    rows = tf.broadcast_to(tf.range(tf.shape(steps)[0])[:, None], tf.shape(steps))
    return tf.gather_nd(values, tf.stack([rows, steps], -1))
