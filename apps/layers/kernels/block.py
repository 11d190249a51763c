"""The LSTM recurrence as TensorFlow's block operations: one operation for all steps."""

import tensorflow as tf

from apps.layers.kernels import native
from apps.layers.kernels.loop import steps_back


def block_lstm(
    x: tf.Tensor,
    h0: tf.Tensor,
    c0: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run an LSTM as `BlockLSTMV2`, with a gradient of its own.

    Version 2 of the operation has Keras's gate order, but TensorFlow 2.21 registers a wrong
    gradient for it. Version 1's gradient, `BlockLSTMGrad`, is right and takes the same intermediate
    values, and weights with gates in the order input, cell, forget, output. It is used only where
    it runs on this package's kernel, because TensorFlow's is slower than a loop.

    Args:
        x: inputs, `(time, batch, features)`, float32.
        h0: initial hidden state, `(batch, units)`.
        c0: initial cell state, `(batch, units)`.
        kernel: `(features, 4 * units)`, gates in Keras's order: input, forget, cell, output.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)`.

    Returns:
        Hidden states and cell states after every step, both `(time, batch, units)`.
    """
    features, units = kernel.shape[0], recurrent_kernel.shape[0]
    fast = native.load().active

    @tf.custom_gradient
    def core(x, h0, c0, kernel, recurrent_kernel, bias):
        weights = tf.concat([kernel, recurrent_kernel], 0)
        peephole = tf.zeros([units], x.dtype)
        steps = tf.cast(tf.shape(x)[0], tf.int64)
        shared = {
            "seq_len_max": steps,
            "x": x,
            "cs_prev": c0,
            "h_prev": h0,
            "wci": peephole,
            "wcf": peephole,
            "wco": peephole,
            "use_peephole": False,
        }
        values = tf.raw_ops.BlockLSTMV2(w=weights, b=bias, cell_clip=0.0, **shared)

        def gradient(d_hidden, d_cell):
            if not fast:
                gates = tf.concat([values.i, values.f, values.ci, values.o], -1)
                forward = (x, h0, c0, kernel, recurrent_kernel, values.h, values.cs, gates)
                return steps_back(*forward, d_hidden, d_cell)
            grads = tf.raw_ops.BlockLSTMGrad(
                w=_swap_gates(weights),
                b=_swap_gates(bias),
                cs_grad=d_cell,
                h_grad=d_hidden,
                **values._asdict(),
                **shared,
            )
            d_kernel, d_recurrent = tf.split(_swap_gates(grads.w_grad), [features, units], 0)
            return (
                grads.x_grad,
                grads.h_prev_grad,
                grads.cs_prev_grad,
                d_kernel,
                d_recurrent,
                _swap_gates(grads.b_grad),
            )

        return (values.h, values.cs), gradient

    return core(x, h0, c0, kernel, recurrent_kernel, bias)


def _swap_gates(weights: tf.Tensor) -> tf.Tensor:
    """Exchange the second and third gate on the last axis; its own inverse."""
    first, second, third, fourth = tf.split(weights, 4, -1)
    return tf.concat([first, third, second, fourth], -1)
