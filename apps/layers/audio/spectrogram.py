"""Log-mel spectrograms and cepstra inside the graph, whole or as a stream."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.audio.mel import (
    SCALES,
    cosine_transform,
    fft_size_for,
    folded_fourier,
    mel_filters,
)
from apps.layers.small_devices import on_small_devices
from apps.layers.streaming import StreamWindows, at_least, zero_beyond

State = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable("apps")
class LogMel(keras.layers.Layer):
    """Natural logarithms of mel-band powers, one frame for every hop.

    Triangular mel filters of height 1 sum the power spectrum `|DFT(Hann · x)|²` of each window; a
    feature is `log(power + floor)`. Windows are not centred: frame `i` is samples `i · hop` to
    `i · hop + window`, so that a stream gives the same frames as the whole. Sums and products are
    in double precision: a GPU may round single-precision operands to ten bits of mantissa, and the
    rounding error of strong bands would drown weak ones.

    Args:
        sample_rate: samples a second.
        bands: number of mel bands.
        window_ms: length of a window in milliseconds.
        hop_ms: from the start of one window to that of the next, in milliseconds.
        low_hz: where the first band begins.
        high_hz: where the last band ends; half the sampling rate if left out.
        fft_size: points of the Fourier transform; if left out, the smallest power of two that
            holds a window and leaves no band empty.
        scale: `htk`, as in HTK, Kaldi and torchaudio, or `slaney`, librosa's.
        normalized: give all filters equal area, librosa's default, instead of equal height.
        floor: power added to each band. The default is about the power that rounding samples in
            [-1, 1] to 16 bits leaves in a band, so that digital silence, -16.1, and the rounding
            noise of a quiet recording look alike.
        **kwargs: arguments of `keras.layers.Layer`; `dtype` is float32 by default.

    Call arguments:
        audio: samples in [-1, 1], `(batch, samples)` float32.
        lengths: real samples of each row, `(batch,)` int32.

    Returns:
        Features `(batch, frames, width)`, zeros beyond a row's frames, and the number of frames
        in each row, `(batch,)` int32: `1 + (length - window) // hop`, and 1 for a row shorter than
        a window, which is padded with zeros.

    Raises:
        ValueError: settings that contradict each other.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        bands: int = 80,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        low_hz: float = 20.0,
        high_hz: float | None = None,
        fft_size: int | None = None,
        scale: str = "htk",
        normalized: bool = False,
        floor: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.sample_rate = sample_rate
        self.bands = bands
        self.window_ms = window_ms
        self.hop_ms = hop_ms
        self.low_hz = low_hz
        self.high_hz = high_hz
        self.fft_size = fft_size
        self.scale = scale
        self.normalized = normalized
        self.floor = floor
        self._check()
        self.window = round(sample_rate * window_ms / 1000)
        self.hop = round(sample_rate * hop_ms / 1000)
        if self.window < 2 or self.hop < 1:
            raise ValueError(
                f"a window of {window_ms} ms every {hop_ms} ms is too short for {sample_rate} Hz"
            )
        top = sample_rate / 2 if high_hz is None else high_hz
        points = fft_size or fft_size_for(self.window, bands, sample_rate, low_hz, top)
        if points < self.window:
            raise ValueError(
                f"fft_size {points} is less than the {self.window} samples of a window"
            )
        filters = mel_filters(bands, points, sample_rate, low_hz, top, scale, normalized)
        used = np.flatnonzero(filters.any(1))
        self.points, self._used, self._filters = points, used, filters[used]
        self._cosines, self._sines = folded_fourier(self.window, points, used)
        self._windows = StreamWindows(self.window, self.hop)

    def _check(self) -> None:
        if self.sample_rate < 1 or self.bands < 1:
            raise ValueError(
                f"sample_rate and bands must be at least 1, not {self.sample_rate} and {self.bands}"
            )
        top = self.sample_rate / 2 if self.high_hz is None else self.high_hz
        if not 0 <= self.low_hz < top <= self.sample_rate / 2:
            raise ValueError(
                f"bands from {self.low_hz} to {top} Hz: the first must be less than the second, "
                f"and that at most half the sampling rate of {self.sample_rate} Hz"
            )
        if self.scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, not {self.scale!r}")
        if self.floor <= 0:
            raise ValueError(f"floor must be more than 0, not {self.floor}")

    @property
    def width(self) -> int:
        """Number of features of a frame."""
        return self.bands

    def frames(self, lengths: Any) -> Any:
        """Number of frames in signals of `lengths` samples, an int, an array or a tensor."""
        return at_least(self._windows.count(lengths), 1)

    def call(self, audio: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        signal, frames = self._windows.whole(audio, lengths)
        frames = tf.maximum(frames, 1)
        return zero_beyond(self._features(signal), frames), frames

    def compute_output_spec(self, audio: Any, lengths: Any) -> tuple[Any, Any]:
        batch, samples = audio.shape
        frames = None if samples is None else self.frames(samples)
        return (
            keras.KerasTensor((batch, frames, self.width), dtype=self.compute_dtype),
            keras.KerasTensor((batch,), dtype="int32"),
        )

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries."""
        shapes = self._windows.state_shapes()
        return {"buffer": (shapes["buffer"], "float32"), "count": (shapes["count"], "int32")}

    def step(
        self, audio: tf.Tensor, lengths: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Features of the windows that a chunk completes.

        Args:
            audio: the next samples, any number of them, `(batch, samples)`.
            lengths: real samples of each row, `(batch,)`.
            state: tensors as `state_specs` lists them, zeros at the start of a stream.

        Returns:
            Features `(batch, frames, width)`, the number of frames in each row, possibly 0,
            `(batch,)` int32, and the state for the next chunk.
        """
        signal, frames, buffer, count = self._windows.push(
            audio, lengths, state["buffer"], state["count"]
        )
        features = zero_beyond(self._features(signal), frames)
        return features, frames, {"buffer": buffer, "count": count}

    def _features(self, signal: tf.Tensor) -> tf.Tensor:
        """Features of all windows of a signal of at least one, `(batch, frames, width)`."""
        powers = self._powers_of_few_constants if on_small_devices() else self._powers
        bands = powers(signal)
        return tf.cast(self._of_log_powers(tf.math.log(bands + self.floor)), self.compute_dtype)

    def _powers(self, signal: tf.Tensor) -> tf.Tensor:
        """The powers of all bands, `(batch, frames, bands)` float64."""
        frames = self._framed(tf.cast(signal, tf.float64))
        first = (self.window + 1) // 2
        later = frames[..., first:]
        earlier = frames[..., self.window - first : 0 : -1]
        real = tf.tensordot(later + earlier, tf.constant(self._cosines), 1)
        imaginary = tf.tensordot(later - earlier, tf.constant(self._sines), 1)
        return tf.tensordot(tf.square(real) + tf.square(imaginary), tf.constant(self._filters), 1)

    def _powers_of_few_constants(self, signal: tf.Tensor) -> tf.Tensor:
        """The same in float32 by a fast transform.

        Sums of products in place of the filters' matrix are not rounded to eight bits, as the
        weights of a network are, which would drown weak bands.
        """
        frames = self._framed(tf.cast(signal, tf.float32))
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)
        spectrum = tf.signal.rfft(frames * hann.astype(np.float32), [self.points])
        power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
        power = power[..., self._used[0] : self._used[-1] + 1]
        filters = tf.constant(self._filters.T, tf.float32)
        return tf.reduce_sum(power[..., None, :] * filters, -1)

    def _of_log_powers(self, bands: tf.Tensor) -> tf.Tensor:
        return bands

    def _framed(self, signal: tf.Tensor) -> tf.Tensor:
        """Overlapping windows `(batch, frames, window)`, made of blocks of one hop."""
        hop, parts = self.hop, math.ceil(self.window / self.hop)
        samples = signal.shape[1] if signal.shape[1] is not None else tf.shape(signal)[1]
        frames = (samples - self.window) // hop + 1
        blocks = frames + parts - 1
        filled = tf.pad(signal, [[0, 0], [0, hop]])[:, : blocks * hop]
        tiles = tf.reshape(filled, [-1, blocks, hop])
        shifted = [
            tiles[:, part : part + frames, : self.window - part * hop] for part in range(parts)
        ]
        return tf.concat(shifted, -1)

    def get_config(self) -> dict[str, Any]:
        names = (
            "sample_rate",
            "bands",
            "window_ms",
            "hop_ms",
            "low_hz",
            "high_hz",
            "fft_size",
            "scale",
            "normalized",
            "floor",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("apps")
class MFCC(LogMel):
    """Mel-frequency cepstral coefficients: the orthonormal DCT-II of natural-log mel powers.

    Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word
    recognition in continuously spoken sentences", IEEE TASSP 28(4), 1980, section II.

    Args:
        sample_rate: samples a second.
        coefficients: number of coefficients to keep, beginning with the first, the sum of all
            bands.
        bands: number of mel bands.
        **kwargs: the other arguments of `LogMel`.

    Raises:
        ValueError: settings that contradict each other.
    """

    def __init__(
        self, sample_rate: int, *, coefficients: int = 13, bands: int = 40, **kwargs: Any
    ) -> None:
        super().__init__(sample_rate, bands=bands, **kwargs)
        if not 1 <= coefficients <= bands:
            raise ValueError(f"{coefficients} coefficients of {bands} bands; take 1 to {bands}")
        self.coefficients = coefficients
        self._transform = cosine_transform(bands, coefficients)

    @property
    def width(self) -> int:
        """Number of features of a frame."""
        return self.coefficients

    def _of_log_powers(self, bands: tf.Tensor) -> tf.Tensor:
        return tf.tensordot(bands, tf.constant(self._transform), 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "coefficients": self.coefficients}
