"""Keras's GRU and simple recurrent layer among the layers over sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from apps.layers.alternatives.sequence_layer import SequenceLayer


class _Recurrent(SequenceLayer):
    """A recurrent layer of Keras with one state; arguments as `SequenceLayer` has them."""

    kind: ClassVar[type[keras.layers.RNN]]

    def __init__(self, units: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(units, seed, **kwargs)
        self.inner = self.kind(
            units,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
            return_sequences=True,
            return_state=True,
            dtype=self.dtype_policy,
            name="inner",
        )

    def build(self, shape: Any, *_: Any) -> None:
        self.inner.build(shape)

    def state_widths(self) -> dict[str, int]:
        return {"hidden": self.units}

    def call(
        self, x: tf.Tensor, states: Any = None, lengths: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        mask = None if lengths is None else tf.sequence_mask(lengths, tf.shape(x)[1])
        found, after = self.inner(x, initial_state=states, mask=mask, training=training)
        return found, [after]

    def advance(
        self, x: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        found, after = self.inner.cell(x, list(states))
        return found, list(after)


@keras.saving.register_keras_serializable("apps")
class GatedRecurrentUnit(_Recurrent):
    """Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", section 2.3."""

    kind = keras.layers.GRU


@keras.saving.register_keras_serializable("apps")
class SimpleRecurrence(_Recurrent):
    """Elman 1990, "Finding structure in time": a tanh of the input and of what it was before."""

    kind = keras.layers.SimpleRNN
