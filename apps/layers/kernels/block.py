"""The LSTM recurrence as TensorFlow's block operations: one operation for all steps."""

from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record

from apps.layers.kernels import native
from apps.layers.kernels.loop import gradient_of_gradient, steps_back


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
        states = {"cs_prev": c0, "h_prev": h0}
        shared = {
            "seq_len_max": steps,
            "wci": peephole,
            "wcf": peephole,
            "wco": peephole,
            "use_peephole": False,
        }
        # The operation's own gradient, which is wrong, must not serve for derivatives forwards.
        with record.stop_recording():
            given = {"x": x, "w": weights, "b": bias}
            values = tf.raw_ops.BlockLSTMV2(cell_clip=0.0, **given, **states, **shared)

        def gradient(d_hidden, d_cell):
            if not fast:
                inputs = (x, h0, c0, kernel, recurrent_kernel, bias)
                return _gradient_in_steps(values)(*inputs, d_hidden, d_cell)
            grads = tf.raw_ops.BlockLSTMGrad(
                x=x,
                w=_swap_gates(weights),
                b=_swap_gates(bias),
                cs_grad=d_cell,
                h_grad=d_hidden,
                **values._asdict(),
                **states,
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


def _gradient_in_steps(values):
    """The gradient from what the operation kept, which is a constant to TensorFlow."""

    @tf.custom_gradient
    def gradient(*arguments):
        # A later gradient may be built in a graph that reaches this one's tensors only.
        *inputs, dh, dc = (tf.identity(tensor) for tensor in arguments)
        upstream = dh, dc
        x, h0, c0, kernel, recurrent_kernel, _, d_hidden, d_cell = map(tf.stop_gradient, arguments)
        gates = tf.concat([values.i, values.f, values.ci, values.o], -1)
        forward = (x, h0, c0, kernel, recurrent_kernel, values.h, values.cs, gates)
        result = steps_back(*forward, d_hidden, d_cell)
        return result, lambda *seeds: gradient_of_gradient(inputs, upstream, seeds)

    return gradient


@tf.RegisterGradient("BlockLSTMGrad")
def _gradient_of_block_gradient(op: Any, *seeds: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
    """TensorFlow has none. What the operation kept counts as a function of its other inputs."""
    _, x, c0, h0, weights, *_ = op.inputs
    bias, d_cell, d_hidden = op.inputs[8], op.inputs[-2], op.inputs[-1]
    split = [x.shape[-1], h0.shape[-1]]
    inputs = (x, h0, c0, *tf.split(_swap_gates(weights), split, 0), _swap_gates(bias))
    dx, dc0, dh0, d_weights, *_, d_bias = seeds
    seeds = (dx, dh0, dc0, *tf.split(_swap_gates(d_weights), split, 0), _swap_gates(d_bias))
    found = gradient_of_gradient(inputs, (d_hidden, d_cell), seeds)
    x, h0, c0, kernel, recurrent_kernel, bias, d_hidden, d_cell = found
    weights = _swap_gates(tf.concat([kernel, recurrent_kernel], 0))
    kept = [None] * 7
    return None, x, c0, h0, weights, None, None, None, _swap_gates(bias), *kept, d_cell, d_hidden


def _swap_gates(weights: tf.Tensor) -> tf.Tensor:
    """Exchange the second and third gate on the last axis; its own inverse."""
    first, second, third, fourth = tf.split(weights, 4, -1)
    return tf.concat([first, third, second, fourth], -1)
