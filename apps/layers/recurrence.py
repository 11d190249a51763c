"""One LSTM layer's computation: layout, kernel and outputs, for both kinds of device."""

from dataclasses import dataclass

import tensorflow as tf

from apps.layers.kernels.block import block_lstm
from apps.layers.kernels.cudnn import cudnn_lstm
from apps.layers.kernels.dispatch import call_for_device, in_xla
from apps.layers.kernels.loop import loop_lstm
from apps.layers.sequences import Layout


@dataclass(frozen=True)
class Recurrence:
    """Which results of an LSTM are needed, and in which direction it runs.

    Attributes:
        sequences: return the hidden states of all steps, not only of the last.
        states: also return the final hidden and cell state.
        backwards: process steps from the last to the first; outputs are in that order.
        zero_masked: outputs at masked steps are zeros, not the output of the step before.
        cudnn: use cuDNN where there is a GPU.
    """

    sequences: bool
    states: bool
    backwards: bool = False
    zero_masked: bool = False
    cudnn: bool = True

    def __call__(
        self,
        x: tf.Tensor,
        h0: tf.Tensor,
        c0: tf.Tensor,
        weights: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
        mask: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, ...]:
        """Run the layer on the kernel of the device that the graph runs on.

        Args:
            x: inputs, `(batch, time, features)`.
            h0: initial hidden state, `(batch, units)` or `(1, units)`.
            c0: initial cell state, the same shape.
            weights: kernel `(features, 4 * units)`, recurrent kernel `(units, 4 * units)`, bias
                `(4 * units,)`.
            mask: which steps count, `(batch, time)`, `(1, time)` or `(batch, time, 1)`, bool or
                numbers; `None` for all.

        Returns:
            The output, `(batch, time, units)` or `(batch, units)`, and with `states` the hidden
            and cell state, `(batch, units)`.
        """
        arguments = [x, *(_of_batch(state, x) for state in (h0, c0)), *weights]
        if mask is not None:
            mask = tf.cast(mask, tf.bool)
            if mask.shape.rank == 3 and mask.shape[2] == 1:
                mask = mask[..., 0]
            if not mask.shape.is_compatible_with([None, x.shape[1]]):
                raise ValueError(
                    f"a mask {mask.shape} for sequences {x.shape}: it needs their steps"
                )
            arguments.append(_of_batch(mask, x))
        if in_xla() or not self.cudnn:
            return self._on_cpu(*arguments)
        return call_for_device(self._on_cpu, self._on_gpu, arguments)

    def _on_cpu(self, x, h0, c0, kernel, recurrent_kernel, bias, mask=None):
        dtype = x.dtype
        # On a CPU half precision saves nothing and loses digits at every step.
        wide = tf.float64 if dtype == tf.float64 else tf.float32
        x, h0, c0, kernel, recurrent_kernel, bias = (
            tf.cast(value, wide) for value in (x, h0, c0, kernel, recurrent_kernel, bias)
        )
        layout = None if mask is None else Layout.of(mask, self.backwards)
        core = loop_lstm if wide == tf.float64 or in_xla() else block_lstm
        x = self._time_major(x, layout)
        hidden, cell = core(x, h0, c0, kernel, recurrent_kernel, bias)
        h = c = None
        if layout is None:
            # The initial state comes first, so that a batch without steps ends in it.
            h = tf.concat([h0[None], hidden[-1:]], 0)[-1]
            if self.states:
                c = tf.concat([c0[None], cell[-1:]], 0)[-1]
        else:
            h = layout.last(hidden, h0)
            if self.states:
                c = layout.last(cell, c0)
        return self._outputs(hidden, h, c, layout, dtype)

    def _on_gpu(self, x, h0, c0, kernel, recurrent_kernel, bias, mask=None):
        layout = None if mask is None else Layout.of(mask, self.backwards)
        if layout is None:
            lengths = tf.fill([tf.shape(x)[0]], tf.shape(x)[1])
        else:
            lengths = tf.maximum(layout.lengths, 1)
        x_tm = self._time_major(x, layout)
        hidden, h, c = cudnn_lstm(x_tm, h0, c0, kernel, recurrent_kernel, bias, lengths)
        if layout is not None:
            some = layout.lengths[:, None] > 0
            h, c = tf.where(some, h, h0), tf.where(some, c, c0)
        return self._outputs(hidden, h, c, layout, x.dtype)

    def _time_major(self, x, layout):
        if layout is not None:
            x = layout.gather(x)
        elif self.backwards:
            x = tf.reverse(x, [1])
        return tf.transpose(x, [1, 0, 2])

    def _outputs(self, hidden, h, c, layout, dtype):
        if self.sequences:
            output = tf.transpose(hidden, [1, 0, 2])
            if layout is not None:
                output = layout.scatter(output, self.zero_masked)
        elif layout is not None:
            output = tf.where(layout.lengths[:, None] > 0, h, tf.zeros([], h.dtype))
        else:
            output = h
        results = (output, h, c) if self.states else (output,)
        return tuple(tf.cast(result, dtype) for result in results)


def _of_batch(rows: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Repeat what is given once for all rows of `x`."""
    if rows.shape.rank != 2 or rows.shape[0] != 1 or x.shape[0] == 1:
        return rows
    return tf.repeat(rows, tf.shape(x)[0], 0)
