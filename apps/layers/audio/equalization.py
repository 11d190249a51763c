"""Random equalisation of spectra in training, as microphones, rooms and voices cause it."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.streaming import zero_beyond


@keras.saving.register_keras_serializable("apps")
class RandomEqualization(keras.layers.Layer):
    """Makes bands of log-mel features louder or quieter, equally in all frames of a row.

    For every row, the gains of a few evenly spaced bands are drawn from a normal distribution;
    those between are interpolated. A filter of the waveform shifts logarithms of band powers in the
    same way.

    Args:
        decibels: standard deviation of the gains; 0 changes nothing.
        points: bands whose gains are drawn.
        seed: seed of all draws.
        **kwargs: arguments of `keras.layers.Layer`; `dtype` is float32 by default.

    Call arguments:
        features: natural logarithms of band powers, `(batch, frames, bands)`.
        lengths: real frames of each row, `(batch,)`.
        training: change rows; otherwise features are returned unchanged.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self, decibels: float = 4.0, *, points: int = 6, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if decibels < 0 or points < 2:
            raise ValueError(f"decibels {decibels} must be 0 or more, points {points} at least 2")
        self.decibels = decibels
        self.points = points
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, features: tf.Tensor, lengths: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.decibels:
            return features
        rows, bands = tf.shape(features)[0], features.shape[-1]
        places = np.linspace(0, self.points - 1, bands)
        between = np.maximum(0, 1 - np.abs(places - np.arange(self.points)[:, None]))
        nepers = self.decibels * math.log(10) / 10
        drawn = nepers * keras.random.normal(
            (rows, self.points), dtype="float32", seed=self.seed_generator
        )
        gains = tf.matmul(drawn, tf.constant(between, tf.float32))
        return zero_beyond(features + tf.cast(gains, features.dtype)[:, None, :], lengths)

    def compute_output_spec(self, features: Any, lengths: Any, training: bool = False) -> Any:
        return keras.KerasTensor(features.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("decibels", "points", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
