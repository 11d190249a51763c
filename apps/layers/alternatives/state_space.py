"""A diagonal state space: a linear recurrence with constant, complex rates of decay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.alternatives.sequence_layer import SequenceLayer

# Complex states of each feature, and the range of the first time steps.
_STATES, _SHORTEST, _LONGEST = 16, 1e-3, 1e-1


@keras.saving.register_keras_serializable("apps")
class DiagonalStateSpace(SequenceLayer):
    """S4D: Gu et al. 2022, "On the parameterization and initialization of diagonal state spaces".

    `S4D-Lin` (section 4.4), zero-order hold (section 3.1), the input's weights taken into those of
    the output (section 3.3). Followed by a gated linear unit, as there (section 5.1).

    A convolution with the impulse response gives all steps at once.

    Arguments, call arguments and returns: as `SequenceLayer` has them.
    """

    def __init__(self, units: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(units, seed, **kwargs)
        self.mixed = self._dense(2 * units, "mixed")

    def build(self, shape: Any, *_: Any) -> None:
        draw = np.random.default_rng(self.seed)
        size = (self.units, _STATES)
        steps = draw.uniform(math.log(_SHORTEST), math.log(_LONGEST), (self.units, 1))
        starts = {
            "log_step": steps,
            "log_decay": np.full(size, math.log(0.5)),
            "frequency": np.tile(math.pi * np.arange(_STATES), (self.units, 1)),
            "output_real": draw.standard_normal(size) * math.sqrt(0.5),
            "output_imaginary": draw.standard_normal(size) * math.sqrt(0.5),
            "skip": draw.standard_normal((self.units,)),
        }
        for name, start in starts.items():
            weight = self.add_weight(
                shape=start.shape, initializer=keras.initializers.Constant(start), name=name
            )
            setattr(self, name, weight)
        self.mixed.build((*shape[:-1], self.units))

    def state_widths(self) -> dict[str, int]:
        return {"real": self.units * _STATES, "imaginary": self.units * _STATES}

    def call(
        self, x: tf.Tensor, states: Any = None, lengths: Any = None, training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        steps = tf.shape(x)[1]
        if lengths is None:
            lengths = tf.fill(tf.shape(x)[:1], steps)
        rate, output = self._rates()
        number = tf.cast(tf.range(steps + 1), tf.float32)
        powers = tf.exp(rate[..., None] * tf.cast(number, tf.complex64))
        response = 2.0 * tf.math.real(tf.einsum("hn,hnt->ht", output, powers[..., :-1]))
        inputs = tf.cast(x, tf.float32)
        convolved = _convolved(inputs, response)
        # The last real step comes first, so that one power belongs to one step back in all rows.
        real = tf.sequence_mask(lengths, steps)[..., None]
        back = tf.where(real, tf.reverse_sequence(inputs, lengths, seq_axis=1), 0.0)
        after = [
            tf.einsum("bth,hnt->bhn", back, part(powers[..., :-1]))
            for part in (tf.math.real, tf.math.imag)
        ]
        if states is not None:
            before = self._complex(states)
            left = tf.einsum("hn,hnt,bhn->bth", output, powers[..., 1:], before)
            convolved += 2.0 * tf.math.real(left)
            carried = tf.gather(tf.transpose(powers, [2, 0, 1]), lengths) * before
            after = [after[0] + tf.math.real(carried), after[1] + tf.math.imag(carried)]
        return self._mix(convolved, inputs, x.dtype), [self._flat(part, x) for part in after]

    def advance(
        self, x: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        rate, output = self._rates()
        inputs = tf.cast(x, tf.float32)
        after = tf.exp(rate) * self._complex(states) + tf.cast(inputs[..., None], tf.complex64)
        seen = 2.0 * tf.math.real(tf.reduce_sum(output * after, -1))
        parts = [tf.math.real(after), tf.math.imag(after)]
        return self._mix(seen, inputs, x.dtype), [self._flat(part, x) for part in parts]

    def _rates(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Logarithm of what a step leaves of each state, and its weight, `(units, states)`."""
        names = ("log_step", "log_decay", "frequency", "output_real", "output_imaginary")
        log_step, log_decay, frequency, *output = (
            tf.cast(tf.convert_to_tensor(getattr(self, name)), tf.float32) for name in names
        )
        continuous = tf.complex(-tf.exp(log_decay), frequency)
        rate = continuous * tf.cast(tf.exp(log_step), tf.complex64)
        return rate, tf.complex(*output) * (tf.exp(rate) - 1.0) / continuous

    def _mix(self, seen: tf.Tensor, inputs: tf.Tensor, dtype: Any) -> tf.Tensor:
        skip = tf.cast(tf.convert_to_tensor(self.skip), tf.float32)
        features = tf.cast(tf.nn.gelu(seen + skip * inputs), dtype)
        values, gates = tf.split(self.mixed(features), 2, -1)
        return values * tf.sigmoid(gates)

    def _complex(self, states: Sequence[tf.Tensor]) -> tf.Tensor:
        parts = [
            tf.reshape(tf.cast(state, tf.float32), [-1, self.units, _STATES]) for state in states
        ]
        return tf.complex(*parts)

    def _flat(self, part: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.reshape(part, [-1, self.units * _STATES]), x.dtype)


def _convolved(x: tf.Tensor, response: tf.Tensor) -> tf.Tensor:
    """Causal convolution of `(batch, time, features)` with `(features, time)`."""
    steps = tf.shape(x)[1]
    length = [2 * steps]
    transformed = tf.signal.rfft(tf.transpose(x, [0, 2, 1]), length)
    product = transformed * tf.signal.rfft(response, length)[None]
    return tf.transpose(tf.signal.irfft(product, length)[..., :steps], [0, 2, 1])
