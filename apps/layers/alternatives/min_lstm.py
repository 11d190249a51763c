"""A recurrence whose gates do not look at the state, so that all steps are computed at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.alternatives.linear_scan import linear_scan
from apps.layers.alternatives.sequence_layer import SequenceLayer


@keras.saving.register_keras_serializable("apps")
class MinLSTM(SequenceLayer):
    """The minimal LSTM: Feng et al. 2024, "Were RNNs all we needed?", section 3.2.

    Forget and input gate add up to one, both depend on the input alone, and no output gate follows.

    Arguments, call arguments and returns: as `SequenceLayer` has them.
    """

    def __init__(self, units: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(units, seed, **kwargs)
        self.gates, self.values = self._dense(2 * units, "gates"), self._dense(units, "values")

    def build(self, shape: Any, *_: Any) -> None:
        self.gates.build(shape)
        self.values.build(shape)

    def state_widths(self) -> dict[str, int]:
        return {"hidden": self.units}

    def call(
        self, x: tf.Tensor, states: Any = None, lengths: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        (first,) = self.begin(x) if states is None else states
        forget, values = self._read(x)
        if lengths is not None:
            real = tf.sequence_mask(lengths, tf.shape(x)[1])[..., None]
            forget, values = tf.where(real, forget, 1.0), tf.where(real, values, 0.0)
        found = linear_scan(forget, (1.0 - forget) * values, first)
        return found, [found[:, -1]]

    def advance(
        self, x: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        forget, values = self._read(x)
        after = forget * states[0] + (1.0 - forget) * values
        return after, [after]

    def _read(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        forget, remember = tf.split(self.gates(x), 2, -1)
        # Of two sigmoids, the share of the one in their sum.
        share = tf.sigmoid(tf.nn.softplus(-remember) - tf.nn.softplus(-forget))
        return share, self.values(x)
