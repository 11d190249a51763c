"""An LSTM as plain products, which every interpreter has."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from apps.layers.kernels.dispatch import Kernel
from apps.layers.recurrence import Recurrence

# Longer sequences become a loop.
_UNROLLED = 16


class NoFixedSizeError(ValueError):
    """An LSTM reads a number of rows or steps that is not known beforehand."""


def plain_lstm(kernel: Kernel, arguments: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    """Stand in for the kernel that a device would choose; arguments and outputs are the kernel's.

    Steps that the mask leaves out keep the state, in the order in which they are read, so that
    padding on the right costs nothing but time in either direction.
    """
    recurrence: Recurrence = kernel.__self__  # type: ignore[attr-defined]
    x, hidden, cell, weights, recurrent, bias = (tf.cast(v, tf.float32) for v in arguments[:6])
    batch, steps, width = x.shape[0], x.shape[1], recurrent.shape[0]
    if batch is None or steps is None:
        raise NoFixedSizeError(f"steps {x.shape}")
    real = tf.cast(arguments[6], tf.bool) if len(arguments) > 6 else tf.ones([1, steps], tf.bool)
    if recurrence.backwards:
        x, real = tf.reverse(x, [1]), tf.reverse(real, [1])
    masked = len(arguments) > 6

    def advance(
        x: tf.Tensor, real: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        gates = tf.matmul(x, weights) + bias + tf.matmul(hidden, recurrent)
        i, f, g, o = tf.split(gates, 4, 1)
        after = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
        said = tf.sigmoid(o) * tf.tanh(after)
        if not masked:
            return said, after
        return tf.where(real, said, hidden), tf.where(real, after, cell)

    if steps <= _UNROLLED:
        said = []
        for step in range(steps):
            hidden, cell = advance(x[:, step], real[:, step, None], hidden, cell)
            said.append(hidden)
        sequence = tf.stack(said, 1)
    else:
        found = tf.TensorArray(tf.float32, steps, element_shape=[batch, width])

        def go_on(step: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor, found: tf.TensorArray):
            hidden, cell = advance(x[:, step], real[:, step, None], hidden, cell)
            return step + 1, hidden, cell, found.write(step, hidden)

        begun = (tf.constant(0), hidden, cell, found)
        _, hidden, cell, found = tf.while_loop(lambda step, *_: step < steps, go_on, begun)
        sequence = tf.transpose(tf.ensure_shape(found.stack(), [steps, batch, width]), [1, 0, 2])
    if masked and recurrence.zero_masked:
        sequence = tf.where(real[..., None], sequence, tf.zeros([], tf.float32))
    output = sequence if recurrence.sequences else hidden
    return (output, hidden, cell) if recurrence.states else (output,)
