"""SpecAugment: masks over time and frequency in training."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers.streaming import zero_beyond


@keras.saving.register_keras_serializable("apps")
class SpecAugment(keras.layers.Layer):
    """Sets random bands and random stretches of frames to zero, the mean of normalised features.

    Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition",
    Interspeech 2019, section 2, without the time warp, which helped least there. The width and
    the position of each mask in each row are drawn uniformly.

    Args:
        frequency_masks: number of masks over bands.
        frequency_width: their largest width, in bands.
        time_masks: number of masks over frames.
        time_width: their largest width, in frames.
        time_share: their largest width as a share of the row's frames; the smaller limit holds.
        seed: seed of all draws.
        **kwargs: arguments of `keras.layers.Layer`; `dtype` is float32 by default.

    Call arguments:
        features: normalised, `(batch, frames, bands)`.
        lengths: real frames of each row, `(batch,)`.
        training: apply the masks; otherwise features are returned unchanged.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        *,
        frequency_masks: int = 2,
        frequency_width: int = 15,
        time_masks: int = 2,
        time_width: int = 70,
        time_share: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if min(frequency_masks, frequency_width, time_masks, time_width) < 0:
            raise ValueError("numbers and widths of masks must be 0 or more")
        if not 0.0 <= time_share <= 1.0:
            raise ValueError(f"time_share must be from 0 to 1, not {time_share}")
        self.frequency_masks = frequency_masks
        self.frequency_width = frequency_width
        self.time_masks = time_masks
        self.time_width = time_width
        self.time_share = time_share
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, features: tf.Tensor, lengths: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return features
        rows, frames, bands = tf.unstack(tf.shape(features))
        nothing = tf.zeros([], features.dtype)
        features = zero_beyond(features, lengths)
        if self.frequency_masks and self.frequency_width:
            extent = tf.fill([rows], bands)
            widest = tf.fill([rows], tf.minimum(self.frequency_width, bands))
            hidden = self._masks(self.frequency_masks, widest, extent, bands)
            features = tf.where(hidden[:, None, :], nothing, features)
        if self.time_masks and self.time_width and self.time_share:
            share = tf.cast(tf.cast(lengths, tf.float32) * self.time_share, tf.int32)
            widest = tf.minimum(self.time_width, share)
            hidden = self._masks(self.time_masks, widest, tf.cast(lengths, tf.int32), frames)
            features = tf.where(hidden[:, :, None], nothing, features)
        return features

    def _masks(self, masks: int, widest: tf.Tensor, extent: tf.Tensor, size: Any) -> tf.Tensor:
        """Which of `size` positions are covered by a mask, `(batch, size)` bool.

        Args:
            masks: number of masks in each row.
            widest: largest width in each row, `(batch,)`; widths are drawn from 0 to it.
            extent: number of positions of each row that masks may cover, `(batch,)`.
            size: number of positions.
        """
        shape = (tf.shape(widest)[0], masks)
        width = self._whole_numbers(shape, widest[:, None])
        start = self._whole_numbers(shape, tf.maximum(extent[:, None] - width, 0))
        place = tf.range(size)[None, None, :]
        covered = (place >= start[..., None]) & (place < (start + width)[..., None])
        return tf.reduce_any(covered, 1)

    def _whole_numbers(self, shape: Any, largest: tf.Tensor) -> tf.Tensor:
        """Draw integers uniformly from 0 to `largest`, both included."""
        drawn = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        drawn *= tf.cast(largest + 1, tf.float32)
        return tf.minimum(tf.cast(drawn, tf.int32), largest)

    def compute_output_spec(self, features: Any, lengths: Any, training: bool = False) -> Any:
        return keras.KerasTensor(features.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = (
            "frequency_masks",
            "frequency_width",
            "time_masks",
            "time_width",
            "time_share",
            "seed",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
