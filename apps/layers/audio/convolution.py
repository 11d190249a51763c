"""Convolutions over time and frequency that shorten a sequence of spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.streaming import StreamWindows, at_least, zero_beyond

NORMS = ("layer", "none")


@keras.saving.register_keras_serializable("apps")
class ConvolutionSubsampling(keras.layers.Layer):
    """Strided convolutions over time and frequency in front of recurrent layers.

    Amodei et al., "Deep Speech 2", arXiv:1512.02595, section 3.5, with two changes. Layer
    normalisation over each step's frequencies and channels (Ba, Kiros and Hinton, "Layer
    normalization", 2016) takes the place of batch normalisation, so that an output depends neither
    on other rows nor on the future. And each row is padded with zeros according to its own length,
    so that its outputs are the same in any batch.

    Args:
        channels: output channels of each convolution.
        kernels: steps and frequencies in each convolution's kernel.
        strides: steps and frequencies in each convolution's stride.
        causal: let no step see a later frame, so that the layer can stream; otherwise a step sees
            as many frames after its own as before it.
        norm: `"layer"`, or `"none"` for a bias alone.
        seed: seed of the weights.

    Call arguments:
        features: `(batch, frames, bands)`.
        lengths: real frames of each row, `(batch,)` int32; a row without frames counts as
            one frame of zeros.

    Returns:
        `(batch, steps, width)`, zeros beyond each row's steps, and the number of steps in each row,
        `(batch,)` int32.

    Raises:
        ValueError: the tuples differ in length, a number is out of range, or the norm is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        *,
        causal: bool = False,
        norm: str = "layer",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.kernels = tuple((int(time), int(frequency)) for time, frequency in kernels)
        self.strides = tuple((int(time), int(frequency)) for time, frequency in strides)
        self.causal = causal
        self.norm = norm
        self.seed = seed
        if not len(self.channels) == len(self.kernels) == len(self.strides) > 0:
            raise ValueError("channels, kernels and strides must have one entry per convolution")
        if min(*self.channels, *np.ravel(self.kernels), *np.ravel(self.strides)) < 1:
            raise ValueError("channels, kernels and strides must be at least 1")
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}, not {norm}")
        self.convolutions = [self._convolution(level) for level in range(len(self.channels))]
        self.norms = [
            keras.layers.LayerNormalization((-2, -1), dtype=self.dtype_policy, name=f"norm_{level}")
            for level in range(len(self.channels))
            if norm == "layer"
        ]
        self._windows = [
            StreamWindows(time, stride, lead=time - 1)
            for (time, _), (stride, _) in zip(self.kernels, self.strides, strict=True)
        ]

    def _convolution(self, level: int) -> keras.layers.Layer:
        return keras.layers.Conv2D(
            self.channels[level],
            self.kernels[level],
            self.strides[level],
            use_bias=self.norm == "none",
            kernel_initializer=keras.initializers.HeNormal(
                # With one seed, levels of one shape would start with the same weights.
                None if self.seed is None else self.seed + level
            ),
            dtype=self.dtype_policy,
            name=f"convolution_{level}",
        )

    def build(self, features_shape: Sequence[int | None], lengths_shape: Any = None) -> None:
        bands = features_shape[2]
        if bands is None:
            raise ValueError("the number of bands must be known: give features a last axis")
        self._bands = [bands]
        channels = 1
        for level, (_, stride) in enumerate(self.strides):
            self.convolutions[level].build((None, None, self._padded(level), channels))
            self._bands.append(-(-self._bands[-1] // stride))
            channels = self.channels[level]
            if self.norms:
                self.norms[level].build((None, None, self._bands[-1], channels))

    def _padded(self, level: int) -> int:
        return self._bands[level] + self.kernels[level][1] - 1

    def steps(self, frames: Any) -> Any:
        """Number of steps that `frames` frames become: an int, an array or a tensor, as given."""
        for stride, _ in self.strides:
            frames = (frames + (stride - 1)) // stride
        return at_least(frames, 1)

    def call(self, features: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        lengths = tf.maximum(tf.cast(lengths, tf.int32), 1)
        x = features[..., None]
        if x.shape[1] is None or x.shape[1] == 0:
            x = tf.pad(x, [[0, 0], [0, tf.maximum(1 - tf.shape(x)[1], 0)], [0, 0], [0, 0]])
        for level, ((time, _), (stride, _)) in enumerate(
            zip(self.kernels, self.strides, strict=True)
        ):
            before = time - 1 if self.causal else (time - 1) // 2
            x = zero_beyond(x, lengths)
            x = self._convolve(level, x, [before, time - 1 - before])
            lengths = (lengths + (stride - 1)) // stride
        return self._joined(zero_beyond(x, lengths)), lengths

    def _convolve(self, level: int, x: tf.Tensor, around: Sequence[int]) -> tf.Tensor:
        """One convolution of `(batch, frames, bands, channels)`, with zeros around the frames."""
        extra = self.kernels[level][1] - 1
        x = tf.pad(x, [[0, 0], around, [extra // 2, extra - extra // 2], [0, 0]])
        x = self.convolutions[level](x)
        return tf.nn.relu(self.norms[level](x) if self.norms else x)

    def _joined(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1, tf.shape(x)[1], self._bands[-1] * self.channels[-1]])

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries.

        Raises:
            ValueError: the layer is not causal.
        """
        if not self.causal:
            raise ValueError("only causal convolutions stream: set causal=True")
        specs: dict[str, tuple[tuple[int, ...], str]] = {}
        channels = (1, *self.channels)
        for level, windows in enumerate(self._windows):
            shapes = windows.state_shapes(self._bands[level], channels[level])
            specs[f"buffer_{level}"] = (shapes["buffer"], "float32")
            specs[f"count_{level}"] = (shapes["count"], "int32")
        return specs

    def step(
        self, features: tf.Tensor, lengths: tf.Tensor, state: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Convolve the next frames of a stream.

        Args:
            features: `(batch, frames, bands)`; frames may be 0.
            lengths: real frames of each row, `(batch,)` int32.
            state: tensors as `state_specs` lists them, zeros at the start of a stream.

        Returns:
            The steps that the chunk completes, `(batch, steps, width)`; their number in each row,
            `(batch,)` int32; and the next state.
        """
        x = tf.cast(features, self.compute_dtype)[..., None]
        after: dict[str, tf.Tensor] = {}
        for level, windows in enumerate(self._windows):
            names = f"buffer_{level}", f"count_{level}"
            x, lengths, *carried = windows.push(x, lengths, *(state[name] for name in names))
            after.update(zip(names, carried, strict=True))
            x = self._convolve(level, x, [0, 0])
        return self._joined(zero_beyond(x, lengths)), lengths, after

    def compute_output_spec(
        self, features: keras.KerasTensor, lengths: keras.KerasTensor
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        batch, frames, bands = features.shape
        for _, stride in self.strides:
            bands = -(-bands // stride)
        steps = None if frames is None else self.steps(frames)
        return (
            keras.KerasTensor((batch, steps, bands * self.channels[-1]), dtype=self.compute_dtype),
            keras.KerasTensor((batch,), dtype="int32"),
        )

    def get_config(self) -> dict[str, Any]:
        names = ("channels", "kernels", "strides", "causal", "norm", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
