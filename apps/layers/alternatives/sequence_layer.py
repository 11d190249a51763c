"""A layer over a sequence that hands its states on, and the block that some of them stand in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

# Of a block's dense layers to the block.
_WIDENING = 2


class SequenceLayer(keras.layers.Layer):
    """From each step and those before it to features of the step.

    Args:
        units: width of the features.
        seed: of the weights.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: `(batch, time, features)`, each row's real steps at its front.
        states: before the first step, `(batch, width)` each as `state_widths` names them; None
            where a sequence begins.
        lengths: real steps of each row, `(batch,)` int32; None where all are real.
        training: whether dropout applies.

    Returns:
        `(batch, time, units)`, and the states after each row's last real step.
    """

    def __init__(self, units: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.seed = units, seed
        # Lengths say what is real.
        self.supports_masking = True

    def compute_mask(self, *_: Any, **__: Any) -> None:
        return None

    @abstractmethod
    def state_widths(self) -> dict[str, int]:
        """Name and width of each state."""

    @abstractmethod
    def advance(
        self, x: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Run one step: from `(batch, features)` to `(batch, units)`, and the next states."""

    def begin(self, x: tf.Tensor) -> list[tf.Tensor]:
        """The states before the first step of a batch: zeros."""
        return [
            tf.zeros([tf.shape(x)[0], width], x.dtype) for width in self.state_widths().values()
        ]

    def _dense(self, width: int, name: str, **given: Any) -> keras.layers.Dense:
        # Layers of one shape would be alike if they drew with one seed.
        seed = None if self.seed is None else self.seed + sum(map(ord, name))
        start = keras.initializers.GlorotUniform(seed)
        return keras.layers.Dense(
            width, kernel_initializer=start, dtype=self.dtype_policy, name=name, **given
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "seed": self.seed}


@keras.saving.register_keras_serializable("apps")
class ResidualBlock(SequenceLayer):
    """A layer that mixes steps and a dense network at each step, with normalisation and residuals.

    Normalised before each of the two: Xiong et al. 2020, "On layer normalization in the Transformer
    architecture", section 3.

    Args:
        mixer: the layer, as wide as the block.
        seed: of the weights.
        closing: normalise what the block gives, as the last one of a stack has to.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self, mixer: SequenceLayer, seed: int | None = None, closing: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(mixer.units, seed, **kwargs)
        self.mixer, self.closing = mixer, closing
        self.before, self.between, self.behind = (
            keras.layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name=name)
            for name in ("before", "between", "behind")
        )
        self.entry = self._dense(self.units, "entry")
        self.wide = self._dense(_WIDENING * self.units, "wide", activation="gelu")
        self.narrow = self._dense(self.units, "narrow")

    def build(self, shape: Any, *_: Any) -> None:
        inner = (*shape[:-1], self.units)
        self.enters = shape[-1] != self.units
        if self.enters:
            self.entry.build(shape)
        for layer in (self.before, self.between, self.mixer, self.wide):
            layer.build(inner)
        if self.closing:
            self.behind.build(inner)
        self.narrow.build((*shape[:-1], _WIDENING * self.units))

    def state_widths(self) -> dict[str, int]:
        return self.mixer.state_widths()

    def call(
        self, x: tf.Tensor, states: Any = None, lengths: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        x = self.entry(x) if self.enters else x
        mixed, after = self.mixer(self.before(x), states, lengths, training=training)
        return self._rest(x, mixed), after

    def advance(
        self, x: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        x = self.entry(x) if self.enters else x
        mixed, after = self.mixer.advance(self.before(x), states)
        return self._rest(x, mixed), after

    def _rest(self, x: tf.Tensor, mixed: tf.Tensor) -> tf.Tensor:
        x += mixed
        x += self.narrow(self.wide(self.between(x)))
        return self.behind(x) if self.closing else x

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"]
        mixer = keras.saving.serialize_keras_object(self.mixer)
        return {**config, "mixer": mixer, "closing": self.closing}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ResidualBlock:
        mixer = keras.saving.deserialize_keras_object(config.pop("mixer"))
        return cls(mixer, **config)
