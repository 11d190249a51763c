"""Random warping of the frequency axis in training, as shorter and longer vocal tracts cause it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.audio.mel import hz_to_mel, mel_to_hz
from apps.layers.streaming import zero_beyond


@keras.saving.register_keras_serializable("apps")
class VocalTractWarp(keras.layers.Layer):
    """Moves what stands at a frequency f to f / a, with one factor a for all frames of a row.

    Jaitly & Hinton 2013, "Vocal tract length perturbation (VTLP) improves speech recognition",
    section 3, on the bands of log-mel features, which are interpolated; the uppermost band repeats
    where there is nothing above it.

    Args:
        share: a lies between 1 / (1 + share) and 1 + share; its logarithm is uniform. 0 changes
            nothing.
        low_hz, high_hz: where the first band begins and the last one ends.
        seed: seed of all draws.
        **kwargs: arguments of `keras.layers.Layer`; `dtype` is float32 by default.

    Call arguments:
        features: log-mel features on HTK's scale, `(batch, frames, bands)`.
        lengths: real frames of each row, `(batch,)`.
        training: change rows; otherwise features are returned unchanged.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        share: float,
        *,
        low_hz: float,
        high_hz: float,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if share < 0 or not 0 <= low_hz < high_hz:
            raise ValueError(f"share {share} must be 0 or more, {low_hz} Hz below {high_hz} Hz")
        self.share, self.low_hz, self.high_hz = share, low_hz, high_hz
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, features: tf.Tensor, lengths: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.share:
            return features
        rows, bands = tf.shape(features)[0], features.shape[-1]
        edges = np.linspace(hz_to_mel(self.low_hz), hz_to_mel(self.high_hz), bands + 2)
        centres = tf.constant(mel_to_hz(edges[1:-1]), tf.float32)
        limit = float(np.log1p(self.share))
        drawn = keras.random.uniform(
            (rows,), -limit, limit, dtype="float32", seed=self.seed_generator
        )
        hz = tf.exp(drawn)[:, None] * centres
        mel = 2595.0 / np.log(10) * tf.math.log1p(hz / 700.0)
        place = tf.clip_by_value((mel - edges[1]) / (edges[1] - edges[0]), 0.0, bands - 1.0)
        # Each band is made of the two between which its source lies.
        weights = tf.nn.relu(1 - tf.abs(place[:, None] - tf.range(bands, dtype="float32")[:, None]))
        return zero_beyond(tf.matmul(features, tf.cast(weights, features.dtype)), lengths)

    def compute_output_spec(self, features: Any, lengths: Any, training: bool = False) -> Any:
        return keras.KerasTensor(features.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("share", "low_hz", "high_hz", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
