"""Layers that see each frame by itself, as part of a stream."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf


class FrameByFrame(keras.layers.Layer):
    """A layer of steps `(batch, time, …)` each of which it sees by itself; it carries no state."""

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Nothing."""
        return {}

    def step(
        self, steps: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """What the next steps of a stream become, of which there may be none."""
        time, inner = tf.shape(steps)[1], [[0, 0]] * (steps.shape.rank - 2)
        # A convolution needs something to work on.
        padded = tf.pad(steps, [[0, 0], [0, tf.maximum(1 - time, 0)], *inner])
        return self(padded)[:, :time], lengths, {}
