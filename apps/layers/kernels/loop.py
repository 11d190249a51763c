"""The LSTM recurrence in plain TensorFlow operations: any dtype, any device, XLA too."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def loop_lstm(
    x: tf.Tensor,
    h0: tf.Tensor,
    c0: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run an LSTM in a loop with one small matrix product per step.

    The products with the inputs, and in the gradient those for the weights' gradients, cover all
    steps at once, outside the loop.

    Args:
        x: inputs, `(time, batch, features)`, a floating dtype.
        h0: initial hidden state, `(batch, units)`.
        c0: initial cell state, `(batch, units)`.
        kernel: `(features, 4 * units)`, gates in Keras's order: input, forget, cell, output.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)`.

    Returns:
        Hidden states and cell states after every step, both `(time, batch, units)`.
    """

    @tf.custom_gradient
    def core(x, h0, c0, kernel, recurrent_kernel, bias):
        hidden, cell, gates = _forward(x, h0, c0, kernel, recurrent_kernel, bias)

        def gradient(d_hidden, d_cell):
            forward = (x, h0, c0, kernel, recurrent_kernel, hidden, cell, gates)
            return steps_back(*forward, d_hidden, d_cell)

        return (hidden, cell), gradient

    return core(x, h0, c0, kernel, recurrent_kernel, bias)


@tf.function(autograph=False, reduce_retracing=True)
def gradient_of_gradient(
    inputs: Sequence[tf.Tensor], upstream: Sequence[tf.Tensor], seeds: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """Gradients at what an LSTM's gradient is computed from; fused operations have none.

    The LSTM runs again in a loop, which TensorFlow can differentiate any number of times.

    Args:
        inputs: the arguments of `loop_lstm`.
        upstream: gradients at its hidden and cell states, both `(time, batch, units)`.
        seeds: gradients at the LSTM's gradient at each of `inputs`.

    Returns:
        Gradients at `inputs` and at `upstream`.
    """
    gradients = steps_back(*inputs[:5], *_forward(*inputs), *upstream)
    # TensorFlow stops its tapes while it computes derivatives forwards.
    return tf.gradients(
        gradients, [*inputs, *upstream], seeds, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def steps_back(
    x: tf.Tensor,
    h0: tf.Tensor,
    c0: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    hidden: tf.Tensor,
    cell: tf.Tensor,
    gates: tf.Tensor,
    d_hidden: tf.Tensor,
    d_cell: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    """Gradients of an LSTM from the values that its forward pass kept.

    Args:
        x: inputs, `(time, batch, features)`.
        h0: initial hidden state, `(batch, units)`.
        c0: initial cell state, `(batch, units)`.
        kernel: `(features, 4 * units)`.
        recurrent_kernel: `(units, 4 * units)`.
        hidden: hidden states after every step, `(time, batch, units)`.
        cell: cell states after every step, `(time, batch, units)`.
        gates: activations of the gates, `(time, batch, 4 * units)`, in Keras's order.
        d_hidden: gradient at `hidden`.
        d_cell: gradient at `cell`, without what flows back through later steps.

    Returns:
        Gradients at `x`, `h0`, `c0`, `kernel`, `recurrent_kernel` and the bias.
    """
    units, features = recurrent_kernel.shape[0], kernel.shape[0]
    h_before = tf.concat([h0[None], hidden], 0)[:-1]
    c_before = tf.concat([c0[None], cell], 0)[:-1]
    d_gates, dh0, dc0 = _backward(d_hidden, d_cell, gates, cell, c_before, c0, recurrent_kernel)
    flat = tf.reshape(d_gates, [-1, 4 * units])
    dx = tf.reshape(tf.matmul(flat, kernel, transpose_b=True), tf.shape(x))
    d_kernel = tf.matmul(tf.reshape(x, [-1, features]), flat, transpose_a=True)
    d_recurrent = tf.matmul(tf.reshape(h_before, [-1, units]), flat, transpose_a=True)
    return dx, dh0, dc0, d_kernel, d_recurrent, tf.reduce_sum(flat, 0)


def _arrays(steps: tf.Tensor, dtype: tf.DType, *widths: int) -> list[tf.TensorArray]:
    return [tf.TensorArray(dtype, size=steps, element_shape=[None, width]) for width in widths]


def _while(steps: tf.Tensor, body: Callable, state: list) -> list:
    """Run `body` `steps` times; the bound lets XLA give the loop's arrays a fixed size."""
    return tf.while_loop(
        lambda t, *_: t < steps, body, (tf.constant(0), *state), maximum_iterations=steps
    )[1:]


def _forward(x, h0, c0, kernel, recurrent_kernel, bias):
    """Hidden states, cell states and gates of all steps."""
    units, features, dtype = recurrent_kernel.shape[0], kernel.shape[0], x.dtype
    steps, batch = tf.shape(x)[0], tf.shape(x)[1]
    projected = tf.matmul(tf.reshape(x, [-1, features]), kernel) + bias
    projected = tf.reshape(projected, [steps, batch, 4 * units])
    inputs = _arrays(steps, dtype, 4 * units)[0].unstack(projected)

    def body(t, h, c, hidden, cell, gates):
        z = inputs.read(t) + tf.matmul(h, recurrent_kernel)
        i, f, g, o = tf.split(z, 4, -1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c = f * c + i * g
        h = o * tf.tanh(c)
        gates = gates.write(t, tf.concat([i, f, g, o], -1))
        return t + 1, h, c, hidden.write(t, h), cell.write(t, c), gates

    arrays = _arrays(steps, dtype, units, units, 4 * units)
    *_, hidden, cell, gates = _while(steps, body, [h0, c0, *arrays])
    return hidden.stack(), cell.stack(), gates.stack()


def _backward(d_hidden, d_cell, gates, cell, c_before, c0, recurrent_kernel):
    """Gradients at the gates' inputs, `(time, batch, 4 * units)`, and at the initial states.

    Everything that does not depend on later steps is computed for all steps before the loop.
    """
    units, dtype = recurrent_kernel.shape[0], gates.dtype
    steps = tf.shape(gates)[0]
    i, f, g, o = tf.split(gates, 4, -1)
    tanh_c = tf.tanh(cell)
    by_cell = tf.concat([g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)], -1)
    by_hidden = tanh_c * o * (1 - o)
    cell_by_hidden = o * (1 - tanh_c * tanh_c)
    transposed = tf.transpose(recurrent_kernel)
    widths = (units, units, 3 * units, units, units, units)
    values = (d_hidden, d_cell, by_cell, by_hidden, cell_by_hidden, f)
    reads = [a.unstack(v) for a, v in zip(_arrays(steps, dtype, *widths), values, strict=True)]

    def body(k, dh, dc, d_gates):
        t = steps - 1 - k
        dh_out, dc_out, cell_factor, hidden_factor, through, forget = (a.read(t) for a in reads)
        dh = dh + dh_out
        dc = dc + dc_out + dh * through
        dz = tf.concat([tf.tile(dc, [1, 3]) * cell_factor, dh * hidden_factor], -1)
        return k + 1, tf.matmul(dz, transposed), dc * forget, d_gates.write(t, dz)

    zeros = tf.zeros_like(c0)
    dh0, dc0, d_gates = _while(steps, body, [zeros, zeros, *_arrays(steps, dtype, 4 * units)])
    return d_gates.stack(), dh0, dc0
