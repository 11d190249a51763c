"""An LSTM equal to `keras.layers.LSTM` that runs on a fused kernel on every device."""

import keras
import tensorflow as tf

from apps.layers.recurrence import Recurrence
from apps.layers.watching import Call, watched

TANH = (keras.activations.tanh, keras.ops.tanh, tf.tanh)
SIGMOID = (keras.activations.sigmoid, keras.ops.sigmoid, tf.sigmoid)


@keras.saving.register_keras_serializable(package="apps")
class ChronoBias(keras.initializers.Initializer):
    """Biases that make an LSTM remember over ranges up to `maximum` steps.

    The forget gate's bias is `log(u)` with `u` uniform in `[1, maximum - 1]`, the input gate's is
    its negative, the others are 0 (Tallec and Ollivier, "Can recurrent neural networks warp
    time?", ICLR 2018, section 3).

    Args:
        maximum: longest range of dependencies, in steps, at least 2.
        seed: seed of the draw.

    Raises:
        ValueError: `maximum` is less than 2.
    """

    def __init__(self, maximum: float, seed: int | None = None):
        if maximum < 2:
            raise ValueError(f"chrono must be at least 2 steps, not {maximum}")
        self.maximum = maximum
        self.seed = seed

    def __call__(self, shape, dtype=None):
        units = shape[0] // 4
        draw = keras.random.uniform(
            (units,), 1.0, max(self.maximum - 1.0, 1.0 + 1e-6), dtype=dtype, seed=self.seed
        )
        forget = keras.ops.log(draw)
        zeros = keras.ops.zeros((2 * units,), dtype=dtype)
        return keras.ops.concatenate([-forget, forget, zeros])

    def get_config(self):
        return {"maximum": self.maximum, "seed": self.seed}


@keras.saving.register_keras_serializable(package="apps")
class LSTM(keras.layers.LSTM):
    """An LSTM that runs on cuDNN on a GPU and on this package's kernel on a CPU.

    The process that runs the graph chooses the kernel, in training and in a SavedModel. Arguments,
    weights, gate order and results are those of `keras.layers.LSTM`. Any mask is supported; a row
    without steps gives zeros and keeps its initial state. Arguments that cuDNN cannot compute raise
    an error.

    Args:
        units: width of the hidden state.
        weight_dropout: share of the recurrent kernel's entries dropped in training, one draw
            per call (Merity, Keskar and Socher, "Regularizing and optimizing LSTM language
            models", ICLR 2018, section 2).
        chrono: longest range of dependencies in steps; sets the gates' initial biases for it
            (see `ChronoBias`) in place of `bias_initializer` and `unit_forget_bias`.
        **kwargs: arguments of `keras.layers.LSTM`. `dropout` draws one mask for all steps.
            `use_cudnn=False` keeps the layer off cuDNN on a GPU too.

    Call arguments:
        sequences: `(batch, time, features)`, any dtype; computed in the layer's.
        initial_state: hidden and cell state, `(batch, units)` or `(1, units)` each; zeros if left
            out.
        mask: which steps count, `(batch, time)`, `(1, time)` or `(batch, time, 1)`; bool, or
            numbers that are 0 where a step does not.
        training: apply dropout.

    Raises:
        ValueError: an argument asks for what cuDNN cannot compute.
    """

    def __init__(
        self,
        units: int,
        *args,
        weight_dropout: float = 0.0,
        chrono: float | None = None,
        **kwargs,
    ):
        super().__init__(units, *args, **kwargs)
        _refuse_what_cudnn_cannot(self)
        if not 0.0 <= weight_dropout < 1.0:
            raise ValueError(f"weight_dropout must be in [0, 1), not {weight_dropout}")
        self.weight_dropout = weight_dropout
        self.chrono = chrono
        if chrono is not None:
            self.cell.bias_initializer = ChronoBias(chrono, self.cell.seed)
            self.cell.unit_forget_bias = False
        if weight_dropout:
            self.weight_seed = keras.random.SeedGenerator(self.cell.seed)
        # XLA cannot run the fused kernels, so Keras must not compile a model that leaves the
        # choice to it (jit_compile="auto").
        self.supports_jit = False

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        # Keras casts floats to the compute dtype before the call, and integers not at all.
        x = tf.cast(sequences, self.compute_dtype)
        x = watched(Call(self, x, mask, tuple(map(tf.convert_to_tensor, initial_state))))
        if training and self.dropout:
            x = x * self.cell.get_dropout_mask(x[:, 0, :])[:, None, :]
        # `value` is in the layer's compute dtype.
        kernel, recurrent_kernel, bias = (
            tf.convert_to_tensor(weight.value)
            for weight in (self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias)
        )
        if training and self.weight_dropout:
            recurrent_kernel = keras.random.dropout(
                recurrent_kernel, self.weight_dropout, seed=self.weight_seed
            )
        recurrence = Recurrence(
            sequences=self.return_sequences,
            states=self.return_state or self.stateful,
            backwards=self.go_backwards,
            zero_masked=self.zero_output_for_mask,
            cudnn=self.use_cudnn is not False,
        )
        h0, c0 = (tf.convert_to_tensor(state) for state in initial_state)
        output, *states = recurrence(x, h0, c0, (kernel, recurrent_kernel, bias), mask)
        return output, output, states

    def advance(
        self, x: tf.Tensor, hidden: tf.Tensor, cell: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Run one step by plain products, as loops inside a graph need it.

        Args:
            x: `(…, features)`.
            hidden, cell: the states before it, `(…, units)`.

        Returns:
            The states after it.
        """
        kernel, recurrent_kernel, bias = (
            tf.cast(tf.convert_to_tensor(weight.value), x.dtype)
            for weight in (self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias)
        )
        before, shape = tf.cast(cell, x.dtype), tf.shape(hidden)
        gates = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel)
        hidden = tf.reshape(tf.cast(hidden, x.dtype), [-1, self.units])
        gates += tf.matmul(hidden, recurrent_kernel) + bias
        i, f, g, o = tf.split(gates, 4, 1)
        after = tf.sigmoid(f) * tf.reshape(before, [-1, self.units]) + tf.sigmoid(i) * tf.tanh(g)
        return tf.reshape(tf.sigmoid(o) * tf.tanh(after), shape), tf.reshape(after, shape)

    def _maybe_config_dropout_masks(self, cell, input_sequence, input_state):
        """Do nothing: Keras would draw a mask in inference too; `inner_loop` draws its own."""

    def get_config(self):
        names = ("use_cudnn", "weight_dropout", "chrono")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _refuse_what_cudnn_cannot(layer: LSTM) -> None:
    """Raise a ValueError for arguments that the fused kernels do not support."""
    if layer.recurrent_dropout:
        raise ValueError(
            "recurrent_dropout draws a mask inside the recurrence, which cuDNN cannot; "
            f"use weight_dropout={layer.recurrent_dropout} to drop recurrent weights instead"
        )
    if layer.activation not in TANH:
        raise ValueError("cuDNN's LSTM has activation='tanh' only; leave it out")
    if layer.recurrent_activation not in SIGMOID:
        raise ValueError("cuDNN's LSTM has recurrent_activation='sigmoid' only; leave it out")
    if not layer.use_bias:
        raise ValueError(
            "cuDNN's LSTM has a bias; leave use_bias out, or hold the bias at zero with "
            "unit_forget_bias=False and a bias_constraint"
        )
    if layer.unroll:
        raise ValueError("the fused kernels are not unrolled, and need not be; leave unroll out")
