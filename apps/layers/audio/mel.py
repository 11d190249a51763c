"""Mel filters, cosine transforms and folded Fourier matrices, in numpy."""

from __future__ import annotations

import numpy as np

SCALES = ("htk", "slaney")

# Slaney's scale is linear up to 1,000 Hz, 200/3 Hz to the mel, and logarithmic above, 27 mels for
# every factor of 6.4.
_LINEAR_HZ, _LINEAR_MEL, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27.0


def hz_to_mel(hz: np.ndarray | float, scale: str = "htk") -> np.ndarray:
    """Frequencies in Hz to mels.

    Args:
        hz: frequencies, any shape.
        scale: `htk`, 2595 log10(1 + f / 700) (O'Shaughnessy, "Speech Communication", 1987), or
            `slaney` (Slaney, "Auditory Toolbox", technical report 1998-010, 1998).

    Raises:
        ValueError: there is no such scale.
    """
    hz = np.asarray(hz, np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    if scale != "slaney":
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    above = _LINEAR_MEL + np.log(np.maximum(hz, _LINEAR_HZ) / _LINEAR_HZ) / _LOG_STEP
    return np.where(hz < _LINEAR_HZ, hz * _LINEAR_MEL / _LINEAR_HZ, above)


def mel_to_hz(mel: np.ndarray | float, scale: str = "htk") -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    if scale != "slaney":
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    above = _LINEAR_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _LINEAR_MEL) - _LINEAR_MEL))
    return np.where(mel < _LINEAR_MEL, mel * _LINEAR_HZ / _LINEAR_MEL, above)


def mel_filters(
    bands: int,
    fft_size: int,
    sample_rate: int,
    low_hz: float,
    high_hz: float,
    scale: str = "htk",
    normalized: bool = False,
) -> np.ndarray:
    """Triangular filters, evenly spaced in mels and linear in Hz.

    Args:
        bands: number of filters.
        fft_size: points of the Fourier transform.
        sample_rate: samples a second.
        low_hz: where the first filter begins.
        high_hz: where the last one ends.
        scale: `htk` or `slaney`.
        normalized: divide every filter by half its width in Hz, so that all have the same area.

    Returns:
        Weights `(fft_size // 2 + 1, bands)`, float64.
    """
    corners = mel_to_hz(
        np.linspace(hz_to_mel(low_hz, scale), hz_to_mel(high_hz, scale), bands + 2), scale
    )
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    hz = (np.arange(fft_size // 2 + 1) * sample_rate / fft_size)[:, None]
    triangles = np.minimum((hz - left) / (peak - left), (right - hz) / (right - peak))
    filters = np.maximum(triangles, 0.0)
    return filters * 2.0 / (right - left) if normalized else filters


def fft_size_for(window: int, bands: int, sample_rate: int, low_hz: float, high_hz: float) -> int:
    """The smallest power of two that holds a window and leaves no filter empty.

    Narrow filters can fall between the frequencies of a short transform. Zero-padding a window to
    more points interpolates the same spectrum.
    """
    size = 1 << (window - 1).bit_length()
    while size < 64 * window and any(
        (mel_filters(bands, size, sample_rate, low_hz, high_hz, scale).sum(0) <= 0).any()
        for scale in SCALES
    ):
        size *= 2
    return size


def folded_fourier(window: int, fft_size: int, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hann-windowed Fourier transform of frames that are folded about their middle.

    A power spectrum does not depend on the point from which phase is counted. Counted from the
    middle of the periodic Hann window, which is symmetric about it, the cosines need only the sum
    of a frame's halves and the sines only their difference, which halves the products.

    Args:
        window: samples in a frame.
        fft_size: points of the transform.
        bins: indices of the frequencies wanted, `(bins,)`.

    Returns:
        Cosines and sines, `(window // 2, bins)` float64 each. For frames `x` and `first = (window
        + 1) // 2` they take `x[first:] ± x[window - first : 0 : -1]`; sample 0 has weight 0.
    """
    sample = np.arange((window + 1) // 2, window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * sample / window)
    offset = sample - window / 2
    # The middle sample of an even window stands in both halves.
    hann = np.where(offset == 0, hann / 2, hann)[:, None]
    angle = 2 * np.pi * offset[:, None] * bins[None, :] / fft_size
    return hann * np.cos(angle), hann * np.sin(angle)


def cosine_transform(bands: int, coefficients: int) -> np.ndarray:
    """Orthonormal DCT-II, `(bands, coefficients)` float64."""
    angle = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients))
    matrix = np.sqrt(2.0 / bands) * np.cos(angle)
    matrix[:, 0] /= np.sqrt(2.0)
    return matrix
