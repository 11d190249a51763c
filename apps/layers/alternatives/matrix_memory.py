"""A recurrence whose state is a matrix of keys and values, in pieces of many steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.alternatives.sequence_layer import SequenceLayer

# Steps that are computed at once: products within them, one update of the state after them.
_PIECE = 64
# Instead of the logarithm of zero, whose differences are not numbers.
_NEVER = -1e9


@keras.saving.register_keras_serializable("apps")
class MatrixMemory(SequenceLayer):
    """The mLSTM of Beck et al. 2024, "xLSTM: extended long short-term memory", section 2.3.

    Exponential input gate, sigmoid forget gate, the stabilising state of its equation 15, which
    also allows to compute many steps at once.

    Args:
        units: width of the features.
        seed: of the weights.
        heads: heads; each is as wide as a part of the units, rounded up.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments and returns: as `SequenceLayer` has them.
    """

    def __init__(self, units: int, seed: int | None = None, heads: int = 4, **kwargs: Any) -> None:
        super().__init__(units, seed, **kwargs)
        self.heads, self.width = heads, math.ceil(units / heads)
        self.joined = self._dense(3 * heads * self.width, "joined")
        # Long memory at the beginning: forget gates near to one, of each head a little different.
        start = keras.initializers.Constant(
            [*[-2.0] * heads, *tf.linspace(3.0, 6.0, heads).numpy()]
        )
        self.gates = self._dense(2 * heads, "gates", bias_initializer=start)
        self.opened = self._dense(heads * self.width, "opened", activation="sigmoid")
        self.output_layer = self._dense(units, "output")

    def build(self, shape: Any, *_: Any) -> None:
        for layer in (self.joined, self.gates, self.opened):
            layer.build(shape)
        self.output_layer.build((*shape[:-1], self.heads * self.width))

    def state_widths(self) -> dict[str, int]:
        width = self.heads * self.width
        return {"matrix": width * self.width, "keys": width, "largest": self.heads}

    def call(
        self, x: tf.Tensor, states: Any = None, lengths: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        steps = tf.shape(x)[1]
        missing = -steps % _PIECE
        padded = tf.pad(x, [[0, 0], [0, missing], [0, 0]])
        if lengths is None:
            lengths = tf.fill(tf.shape(x)[:1], steps)
        parts = self._parts(padded, tf.sequence_mask(lengths, steps + missing))
        before = self._shaped(self.begin(x) if states is None else states)
        pieces = (steps + missing) // _PIECE
        shape = [None, _PIECE, self.heads, self.width]
        found = tf.TensorArray(x.dtype, pieces, element_shape=shape)

        def go_on(piece: tf.Tensor, found: Any, *states: tf.Tensor) -> Any:
            start = piece * _PIECE
            cut = [part[:, start : start + _PIECE] for part in parts]
            said, after = _piece(cut, states)
            return piece + 1, found.write(piece, said), *after

        begun = (tf.constant(0), found, *before)
        _, found, *after = tf.while_loop(lambda piece, *_: piece < pieces, go_on, begun)
        joined = tf.transpose(found.stack(), [1, 0, 2, 3, 4])
        shape = [tf.shape(x)[0], steps + missing, self.heads * self.width]
        return self._said(x, tf.reshape(joined, shape)[:, :steps]), self._flat(after)

    def advance(
        self, x: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        x = x[:, None]
        parts = self._parts(x, tf.ones(tf.shape(x)[:2], tf.bool))
        found, after = _piece(parts, self._shaped(states))
        said = tf.reshape(found, [tf.shape(x)[0], 1, self.heads * self.width])
        return self._said(x, said)[:, 0], self._flat(after)

    def _parts(self, x: tf.Tensor, real: tf.Tensor) -> list[tf.Tensor]:
        """Queries, keys, values, and the logarithms of the gates by head."""
        shape = [tf.shape(x)[0], tf.shape(x)[1], 3, self.heads, self.width]
        queries, keys, values = tf.unstack(tf.reshape(self.joined(x), shape), axis=2)
        let_in, kept = tf.split(self.gates(x), 2, -1)
        let_in = tf.where(real[..., None], let_in, _NEVER)
        kept = tf.where(real[..., None], tf.math.log_sigmoid(kept), 0.0)
        return [queries, keys / math.sqrt(self.width), values, let_in, kept]

    def _said(self, x: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return self.output_layer(self.opened(x) * found)

    def _shaped(self, states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        heads, width = self.heads, self.width
        shapes = ([-1, heads, width, width], [-1, heads, width], [-1, heads])
        return [tf.reshape(state, shape) for state, shape in zip(states, shapes, strict=True)]

    def _flat(self, states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        widths = self.state_widths().values()
        return [tf.reshape(state, [-1, w]) for state, w in zip(states, widths, strict=True)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


def _piece(
    parts: Sequence[tf.Tensor], states: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Some steps `(batch, steps, heads, width)` with the states before them, and those after."""
    queries, keys, values, let_in, kept = parts
    matrix, sums, largest = states
    # By head: what is left at step t of what step s let in, and of the state before the piece.
    left = tf.transpose(tf.cumsum(kept, 1), [0, 2, 1])
    let_in = tf.transpose(let_in, [0, 2, 1])
    weight = left[..., None] - left[..., None, :] + let_in[..., None, :]
    steps = tf.range(tf.shape(keys)[1])
    weight = tf.where(steps[:, None] >= steps[None], weight, _NEVER)
    carried = left + largest[..., None]
    unit = tf.stop_gradient(tf.maximum(tf.reduce_max(weight, -1), carried))
    alike = tf.einsum("bqhd,bkhd->bhqk", queries, keys) * tf.exp(weight - unit[..., None])
    carried = tf.exp(carried - unit)
    sight = tf.transpose(queries, [0, 2, 1, 3])
    above = tf.einsum("bhqk,bkhd->bhqd", alike, values)
    above += carried[..., None] * tf.einsum("bhqd,bhdv->bhqv", sight, matrix)
    below = tf.reduce_sum(alike, -1) + carried * tf.einsum("bhqd,bhd->bhq", sight, sums)
    found = above / tf.maximum(tf.abs(below), tf.exp(-unit))[..., None]
    # The same for the state after the last step.
    last = weight[..., -1, :]
    whole = left[..., -1] + largest
    most = tf.stop_gradient(tf.maximum(tf.reduce_max(last, -1), whole))
    share, rest = tf.exp(last - most[..., None]), tf.exp(whole - most)
    weighted = tf.einsum("bhk,bkhd->bkhd", share, keys)
    matrix = rest[..., None, None] * matrix + tf.einsum("bkhd,bkhv->bhdv", weighted, values)
    sums = rest[..., None] * sums + tf.reduce_sum(weighted, 1)
    return tf.transpose(found, [0, 2, 1, 3]), [matrix, sums, most]
