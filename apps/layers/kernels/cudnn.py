"""The LSTM recurrence as cuDNN's fused operation."""

import tensorflow as tf


def cudnn_lstm(
    x: tf.Tensor,
    h0: tf.Tensor,
    c0: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    lengths: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Run an LSTM on cuDNN.

    Args:
        x: inputs, `(time, batch, features)`, float16, bfloat16, float32 or float64.
        h0: initial hidden state, `(batch, units)`.
        c0: initial cell state, `(batch, units)`.
        kernel: `(features, 4 * units)`, gates in Keras's order, which is also cuDNN's.
        recurrent_kernel: `(units, 4 * units)`.
        bias: `(4 * units,)`.
        lengths: steps of each row, `(batch,)`, int32, each at least 1: cuDNN refuses empty rows.

    Returns:
        Hidden states after every step, `(time, batch, units)`, zero beyond a row's length, and
        the hidden and cell state after each row's last step, both `(batch, units)`.
    """
    matrices = tf.split(kernel, 4, axis=1) + tf.split(recurrent_kernel, 4, axis=1)
    flat = [tf.reshape(tf.transpose(matrix), [-1]) for matrix in matrices]
    # cuDNN adds a bias at the input and one at the state; Keras has only one.
    params = tf.concat([*flat, tf.zeros_like(bias), bias], axis=0)
    hidden, h, c, _, _ = tf.raw_ops.CudnnRNNV3(
        input=x,
        input_h=h0[None],
        input_c=c0[None],
        params=params,
        sequence_lengths=lengths,
        rnn_mode="lstm",
        # Only in training mode does the operation keep what its gradient needs, and a gradient
        # may be asked for later.
        is_training=True,
        time_major=True,
    )
    return hidden, h[0], c[0]
