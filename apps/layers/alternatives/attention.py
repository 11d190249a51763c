"""Causal self-attention over a window of steps, whose keys and values are its state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.alternatives.sequence_layer import SequenceLayer

# Steps that are seen before the present one, unless said otherwise; and wavelengths of positions.
WINDOW, _LONGEST = 512, 10_000.0


@keras.saving.register_keras_serializable("apps")
class CausalAttention(SequenceLayer):
    """Vaswani et al. 2017, "Attention is all you need", section 3.2, each step seeing none later.

    Positions as rotations of queries and keys: Su et al. 2021, "RoFormer", section 3.2.2. The keys
    and values of the steps before are the states, as in Dai et al. 2019, "Transformer-XL".

    Args:
        units: width of the features.
        seed: of the weights.
        heads: heads; each is as wide as an even part of the units, rounded up.
        window: steps before the present one that it sees.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments and returns: as `SequenceLayer` has them.
    """

    def __init__(
        self,
        units: int,
        seed: int | None = None,
        heads: int = 4,
        window: int = WINDOW,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, seed, **kwargs)
        self.heads, self.window = heads, window
        self.width = 2 * math.ceil(units / heads / 2)
        self.joined = self._dense(3 * heads * self.width, "joined")
        self.output_layer = self._dense(units, "output")

    def build(self, shape: Any, *_: Any) -> None:
        self.joined.build(shape)
        self.output_layer.build((*shape[:-1], self.heads * self.width))

    def state_widths(self) -> dict[str, int]:
        cached = self.window * self.heads * self.width
        return {"keys": cached, "values": cached, "seen": 1}

    def call(
        self, x: tf.Tensor, states: Any = None, lengths: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        steps, batch = tf.shape(x)[1], tf.shape(x)[0]
        if lengths is None:
            lengths = tf.fill([batch], steps)
        queries, keys, values = tf.unstack(self._parts(x), axis=2)
        step = tf.range(steps)
        if states is None:
            # Pairs of steps: how far back, and whether that is seen.
            back = step[:, None] - step[None]
            allowed = ((back >= 0) & (back <= self.window))[None, None]
            found = self._attended(queries, keys, values, step, step, allowed)
            return found, self._cached(keys, values, lengths, self.begin(x))
        pairs = zip(self._cache(states), (keys, values), strict=True)
        keys, values = (tf.concat(pair, 1) for pair in pairs)
        place = tf.range(self.window + steps)
        back = self.window + step[:, None] - place[None]
        within = (back >= 0) & (back <= self.window)
        filled = place[None] >= self.window - tf.cast(states[2], tf.int32)
        allowed = (within[None] & filled[:, None])[:, None]
        found = self._attended(queries, keys, values, self.window + step, place, allowed)
        return found, self._last(keys, values, lengths, states[2])

    def advance(
        self, x: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        found, after = self.call(x[:, None], states)
        return found[:, 0], after

    def _parts(self, x: tf.Tensor) -> tf.Tensor:
        """Queries, keys and values, `(batch, time, 3, heads, width)`."""
        shape = [tf.shape(x)[0], tf.shape(x)[1], 3, self.heads, self.width]
        return tf.reshape(self.joined(x), shape)

    def _cache(self, states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        shape = [-1, self.window, self.heads, self.width]
        return [tf.reshape(state, shape) for state in states[:2]]

    def _cached(
        self, keys: tf.Tensor, values: tf.Tensor, lengths: tf.Tensor, begun: list[tf.Tensor]
    ) -> list[tf.Tensor]:
        front = [[0, 0], [self.window, 0], [0, 0], [0, 0]]
        return self._last(tf.pad(keys, front), tf.pad(values, front), lengths, begun[2])

    def _last(
        self, keys: tf.Tensor, values: tf.Tensor, lengths: tf.Tensor, seen: tf.Tensor
    ) -> list[tf.Tensor]:
        """The states: keys and values up to each row's last real step, and how many are real."""
        kept = lengths[:, None] + tf.range(self.window)[None]
        width = self.window * self.heads * self.width
        found = [
            tf.reshape(tf.gather(part, kept, batch_dims=1), [-1, width]) for part in (keys, values)
        ]
        count = seen + tf.cast(lengths[:, None], seen.dtype)
        return [*found, tf.minimum(count, tf.cast(self.window, seen.dtype))]

    def _attended(
        self,
        queries: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        at: tf.Tensor,
        places: tf.Tensor,
        allowed: tf.Tensor,
    ) -> tf.Tensor:
        queries, keys = _rotated(queries, at), _rotated(keys, places)
        logits = tf.einsum("bqhd,bkhd->bhqk", queries, keys) / math.sqrt(self.width)
        logits = tf.where(allowed, logits, logits.dtype.min / 2)
        found = tf.einsum("bhqk,bkhd->bqhd", tf.nn.softmax(logits), values)
        shape = [tf.shape(found)[0], tf.shape(found)[1], self.heads * self.width]
        return self.output_layer(tf.reshape(found, shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads, "window": self.window}


def _rotated(x: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Vectors `(batch, time, heads, width)` turned by their places."""
    pairs = x.shape[-1] // 2
    rates = _LONGEST ** (-tf.range(pairs, dtype=tf.float32) / pairs)
    angle = tf.cast(places, tf.float32)[:, None] * rates
    cosine, sine = (tf.cast(of(angle), x.dtype)[None, :, None] for of in (tf.cos, tf.sin))
    one, other = tf.split(x, 2, -1)
    return tf.concat([one * cosine - other * sine, one * sine + other * cosine], -1)
