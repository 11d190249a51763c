"""A small convolutional network over each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.video.frame_by_frame import FrameByFrame


@keras.saving.register_keras_serializable("apps")
class FrameConvolutions(FrameByFrame):
    """Strided convolutions over each frame, then mean and maximum over its places.

    Long-term recurrent convolutional networks (Donahue et al. 2015) put a recurrent layer over
    the features of a convolutional one. Batch normalisation (Ioffe & Szegedy 2015) follows each
    convolution; after training it adds nothing to the cost.

    Args:
        channels: output channels of each convolution; each halves height and width.
        dropout: share of the features that training sets to zero, the same in all steps.
        pooled: whether places are put together; if not, the last maps come out.
        seed: of weights and dropout.

    Call arguments:
        steps: `(batch, time, side, side, channels)`.

    Returns:
        `(batch, time, width)`, width twice the last number of channels; or maps
        `(batch, time, height, width, channels)`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        dropout: float = 0.0,
        pooled: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.dropout, self.seed = tuple(channels), dropout, seed
        self.pooled = pooled
        self.width = 2 * self.channels[-1]
        self._convolutions, self._norms = [], []
        for level, count in enumerate(self.channels):
            draw = keras.initializers.HeNormal(None if seed is None else seed + level)
            self._convolutions.append(
                keras.layers.Conv2D(
                    count,
                    3 if level else 5,
                    strides=2,
                    padding="same",
                    use_bias=False,
                    kernel_initializer=draw,
                    dtype=self.dtype_policy,
                    name=f"convolution_{level}",
                )
            )
            self._norms.append(
                keras.layers.BatchNormalization(
                    momentum=0.95, dtype=self.dtype_policy, name=f"norm_{level}"
                )
            )
        self._drop = keras.layers.Dropout(
            dropout,
            noise_shape=(None, 1, None) if pooled else (None, 1, 1, 1, None),
            seed=seed,
            dtype=self.dtype_policy,
        )

    def build(self, shape: Sequence[int | None]) -> None:
        inner = (None, *shape[2:])
        for convolution, norm in zip(self._convolutions, self._norms, strict=True):
            convolution.build(inner)
            inner = convolution.compute_output_shape(inner)
            norm.build(inner)

    def call(self, steps: tf.Tensor, training: bool = False) -> tf.Tensor:
        shape = tf.shape(steps)
        x = tf.reshape(steps, [-1, *steps.shape[2:]])
        for convolution, norm in zip(self._convolutions, self._norms, strict=True):
            x = tf.nn.relu(norm(convolution(x), training=training))
        if self.pooled:
            x = tf.concat([tf.reduce_mean(x, [1, 2]), tf.reduce_max(x, [1, 2])], -1)
        x = tf.reshape(x, [shape[0], shape[1], *x.shape[1:]])
        return self._drop(x, training=training)

    def compute_output_spec(self, steps: Any, training: bool = False) -> keras.KerasTensor:
        inner: tuple[int, ...] = (self.width,)
        if not self.pooled:
            sides = [-(-side // 2 ** len(self.channels)) for side in steps.shape[2:4]]
            inner = (*sides, self.channels[-1])
        return keras.KerasTensor((*steps.shape[:2], *inner), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("channels", "dropout", "pooled", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
