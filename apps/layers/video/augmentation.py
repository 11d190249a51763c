"""Random changes of clips in training, the same for all frames of one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("apps")
class ClipAugmentation(keras.layers.Layer):
    """Shifts, mirrors, brightens and darkens whole clips in training; gives floats in [0, 1].

    All frames of a clip change alike, so that no movement comes into being.

    Args:
        shift: largest shift, as a share of the side; pixels at the border repeat.
        mirror: whether left and right are exchanged in every second clip.
        contrast: largest change of the contrast, and half of it of the brightness, as a share.
        seed: of all draws.

    Call arguments:
        frames: `(batch, time, size, size, 3)` uint8.
        training: change clips; otherwise they are only scaled.
    """

    def __init__(
        self,
        shift: float = 0.1,
        *,
        mirror: bool = True,
        contrast: float = 0.3,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.shift, self.mirror, self.contrast, self.seed = shift, mirror, contrast, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = tf.cast(frames, self.compute_dtype) / 255
        if not training:
            return x
        rows, side = tf.shape(x)[0], x.shape[2]
        most = round(self.shift * side)
        if most:
            down, right = (self._whole(rows, most) for _ in range(2))
            places = tf.range(side)[None, :]
            x = tf.gather(x, _inside(places + down[:, None], side), axis=2, batch_dims=1)
            x = tf.gather(x, _inside(places + right[:, None], side), axis=3, batch_dims=1)
        if self.mirror:
            mirrored = self._uniform(rows, 0.0, 1.0) < 0.5
            x = tf.where(mirrored[:, None, None, None, None], tf.reverse(x, [3]), x)
        if self.contrast:
            factor, offset = (
                tf.cast(self._uniform(rows, -share, share), x.dtype)[:, None, None, None, None]
                for share in (self.contrast, self.contrast / 2)
            )
            x = (x - 0.5) * (1 + factor) + 0.5 + offset
        return x

    def _uniform(self, rows: tf.Tensor, low: float, high: float) -> tf.Tensor:
        return keras.random.uniform((rows,), low, high, dtype="float32", seed=self.seed_generator)

    def _whole(self, rows: tf.Tensor, most: int) -> tf.Tensor:
        return tf.cast(tf.floor(self._uniform(rows, -most, most + 1.0)), tf.int32)

    def compute_output_spec(self, frames: Any, training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(frames.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("shift", "mirror", "contrast", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _inside(places: tf.Tensor, side: int) -> tf.Tensor:
    return tf.clip_by_value(places, 0, side - 1)
