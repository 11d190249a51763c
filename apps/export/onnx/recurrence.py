"""LSTMs traced for ONNX: each is a placeholder that stands for ONNX's fused operation.

ONNX's `LSTM` takes the length of every row and runs a row backwards from its own end, so padding on
the right costs nothing. For any other mask, the unmasked steps are moved to the front of their row,
and the results are moved back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from apps.layers.kernels.dispatch import Kernel
from apps.layers.recurrence import Recurrence

# An operation that takes any tensors and keeps a text attribute through TensorFlow's optimiser.
PLACEHOLDER = "PyFuncStateless"


@dataclass(frozen=True)
class FusedLSTM:
    """What a placeholder says about the operation that replaces it.

    Attributes:
        direction: `forward` or `reverse`, as in ONNX.
        lengths: whether the number of steps of every row follows the weights among the inputs.
        states: whether the initial hidden and cell state come last among the inputs; else zeros.
    """

    direction: str
    lengths: bool
    states: bool

    def place(
        self, inputs: Sequence[tf.Tensor], units: int
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Add the placeholder to the graph.

        Args:
            inputs: steps `(time, batch, features)`, kernel, recurrent kernel and bias in Keras's
                layout, then the inputs that the attributes announce.
            units: width of the hidden state.

        Returns:
            Hidden states `(time, batch, units)`, zero beyond a row's length, and each row's final
            hidden and cell state, `(batch, units)`, zero for a row of no steps.
        """
        token = json.dumps(vars(self), sort_keys=True)
        hidden, h, c = tf.raw_ops.PyFuncStateless(input=inputs, token=token, Tout=[tf.float32] * 3)
        wide = [None, None, units]
        return (
            tf.ensure_shape(hidden, wide),
            tf.ensure_shape(h, wide[1:]),
            tf.ensure_shape(c, wide[1:]),
        )

    @classmethod
    def read(cls, token: str) -> FusedLSTM:
        """Read a placeholder's token."""
        return cls(**json.loads(token))


class Tracing:
    """Puts a placeholder where `apps.layers.LSTM` would choose a kernel.

    Attributes:
        placed: number of placeholders, one for each direction of each call.
    """

    def __init__(self) -> None:
        self.placed = 0

    def __call__(self, kernel: Kernel, arguments: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        self.placed += 1
        recurrence: Recurrence = kernel.__self__  # type: ignore[attr-defined]
        x, h0, c0, *weights = (tf.cast(value, tf.float32) for value in arguments[:6])
        steps = Steps(arguments[6], recurrence.backwards) if len(arguments) > 6 else None
        zeros = _are_zeros(h0) and _are_zeros(c0)
        fused = FusedLSTM(
            direction="reverse" if recurrence.backwards else "forward",
            lengths=steps is not None,
            states=not zeros,
        )
        inputs = [tf.transpose(x if steps is None else steps.gather(x), [1, 0, 2]), *weights]
        inputs += [] if steps is None else [steps.lengths]
        inputs += [] if zeros else [h0, c0]
        hidden, h, c = fused.place(inputs, weights[1].shape[0])
        if recurrence.sequences:
            output = tf.transpose(hidden, [1, 0, 2])
            if steps is not None:
                output = steps.scatter(output, h, recurrence.zero_masked)
            if recurrence.backwards:
                output = tf.reverse(output, [1])
        else:
            output = h
        if steps is not None and not zeros:
            some = steps.lengths[:, None] > 0
            h, c = tf.where(some, h, h0), tf.where(some, c, c0)
        results = (output, h, c) if recurrence.states else (output,)
        return tuple(tf.cast(result, arguments[0].dtype) for result in results)


class Steps:
    """The unmasked steps of a batch, moved to the front of their rows in the input's order.

    Args:
        mask: `(batch, time)`, bool, False where a step is skipped.
        backwards: whether they are processed from the last to the first.

    Attributes:
        lengths: number of unmasked steps of each row, `(batch,)`, int32.
    """

    def __init__(self, mask: tf.Tensor, backwards: bool) -> None:
        self._mask = mask
        self._backwards = backwards
        self._in_front = _made_of_lengths(mask)
        self.lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)

    def gather(self, x: tf.Tensor) -> tf.Tensor:
        """Move each row's unmasked steps to its front: `(batch, time, features)` in and out."""
        if self._in_front:
            return x
        time = tf.shape(self._mask)[1]
        position = tf.range(time)[None, :]
        order = tf.argsort(tf.where(self._mask, position, position + time), axis=1)
        return tf.gather(x, order, batch_dims=1)

    def scatter(self, hidden: tf.Tensor, h: tf.Tensor, zero_masked: bool) -> tf.Tensor:
        """Move hidden states back to their steps.

        Args:
            hidden: each row's hidden states at its front, zeros behind, `(batch, time, units)`.
            h: each row's final hidden state, `(batch, units)`, zeros for a row of no steps.
            zero_masked: give zeros at masked steps; otherwise they repeat the step processed before
                them, and are zeros where there is none.

        Returns:
            `(batch, time, units)`.
        """
        if self._in_front:
            if zero_masked or self._backwards:
                return hidden
            return tf.where(self._mask[..., None], hidden, h[:, None])
        before = tf.cumsum(tf.cast(self._mask, tf.int32), axis=1, exclusive=self._backwards)
        index = before if self._backwards else before - 1
        shown = self._mask if zero_masked else (index >= 0) & (index < self.lengths[:, None])
        last = tf.shape(self._mask)[1] - 1
        placed = tf.gather(hidden, tf.clip_by_value(index, 0, last), batch_dims=1)
        return tf.where(shown[..., None], placed, tf.zeros([], hidden.dtype))


def _made_of_lengths(mask: tf.Tensor) -> bool:
    """Whether a mask is a `tf.sequence_mask` of lengths, so that padding is on the right."""
    made = mask.op
    if made.type != "Less":
        return False
    position, lengths = (value.op for value in made.inputs)
    if lengths.type == "Cast":
        lengths = lengths.inputs[0].op
    if position.type != "Range" or lengths.type != "ExpandDims":
        return False
    first, step = (tf.get_static_value(position.inputs[i]) for i in (0, 2))
    return first == 0 and step == 1


def _are_zeros(state: Any) -> bool:
    """Whether a state is known to be zero when the graph is traced."""
    if state.op.type == "Cast":
        state = state.op.inputs[0]
    return state.op.type == "Fill" and tf.get_static_value(state.op.inputs[1]) == 0
