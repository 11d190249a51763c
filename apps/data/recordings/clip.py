"""Recordings: mono 16-bit samples with their rate."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Self

import numpy as np

from apps.data.spool import Spool
from apps.errors import UserError

_FULL_SCALE = 32768
_RATES = (100, 10_000_000)
MOST_CHANNELS = 64
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Clip:
    """One recording.

    16 bits give 96 dB between full scale and rounding noise, more than a microphone in a room does,
    at half the memory of float32: an hour at 16 kHz takes 115 MB.

    Attributes:
        samples: `(n,)` int16, mono.
        rate: samples a second, Hz.
        path: the file that they were read from; empty if they came from memory.
    """

    samples: np.ndarray
    rate: int
    path: str = ""

    def __post_init__(self) -> None:
        if self.samples.dtype != np.int16 or self.samples.ndim != 1:
            raise ValueError("samples must be int16 of one dimension; Clip.of takes other arrays")

    @classmethod
    def of(cls, array: np.typing.ArrayLike, rate: float, path: str = "") -> Self:
        """A clip of the samples in an array.

        Args:
            array: `(n,)` or `(n, channels)`, whose mean is taken. Full scale of floats is ±1; if
                they exceed it, the whole clip is scaled down. int16 is taken as it is, int8 and
                uint8 as 8-bit sound, wider integers as 16-bit sound if all of them fit, else as
                32-bit sound.
            rate: samples a second, Hz, a whole number.
            path: the file that the array was read from, if any.

        Raises:
            UserError: the array is not sound: its shape, its dtype, NaN or infinite samples.
        """
        frames = np.asarray(array)
        if frames.ndim not in (1, 2):
            raise UserError(
                f"an array of shape {frames.shape} is not a recording; give (samples,) "
                "or (samples, channels)"
            )
        if frames.ndim == 2 and not 1 <= frames.shape[1] <= MOST_CHANNELS:
            raise UserError(
                f"an array of shape {frames.shape} would have {frames.shape[1]:,} channels; "
                "give (samples, channels), or transpose it"
            )
        floats = _as_floats(frames)
        check_finite(floats)
        mono = floats if floats.ndim == 1 else floats.mean(axis=1)
        return cls(to_int16(mono / max(1.0, peak(mono))), checked_rate(rate), path)

    def __repr__(self) -> str:
        return f"Clip({self.path!r}, {self.seconds:.3f} s at {self.rate} Hz)"

    def __str__(self) -> str:
        return f"audio {self.digest}"

    @property
    def seconds(self) -> float:
        """Duration, s."""
        return self.count / self.rate

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.samples)

    def part(self, first: int, last: int, path: str) -> Clip:
        """The samples from number `first` to before number `last` as a clip of their own."""
        return Clip(self.samples[first:last], self.rate, path)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of rate and samples, 64 hexadecimal digits; the path is left out."""
        digest = hashlib.sha256(f"{self.rate} ".encode())
        digest.update(np.ascontiguousarray(self.samples, "<i2").data)
        return digest.hexdigest()

    def at(self, rate: int) -> np.ndarray:
        """The samples at another rate, band-limited by soxr's high-quality filter.

        Args:
            rate: samples a second, Hz.

        Returns:
            `(m,)` float32 in [-1, 1], m being n × `rate` / `self.rate` to the nearest whole number,
            and at least 1 where n is; computed anew at each call.
        """
        samples = self.samples
        if rate == self.rate or not len(samples):
            return _scaled(samples)
        import soxr

        # In blocks, since an hour at 96 kHz would take 1.4 GB as floats.
        stream = soxr.ResampleStream(self.rate, checked_rate(rate), 1, quality="HQ")
        starts = range(0, len(samples), _BLOCK)
        resampled = np.concatenate(
            [
                stream.resample_chunk(
                    _scaled(samples[start : start + _BLOCK]), last=start == starts[-1]
                )
                for start in starts
            ]
        )
        if not len(resampled):
            return _scaled(samples[:1])
        # A band-limited curve through full-scale samples overshoots them.
        return np.clip(resampled, -1.0, 1.0, out=resampled)


class _ClipOnDisk(Clip):
    """A clip whose samples are read from a file whenever they are asked for.

    Args:
        file: holds the samples of many clips.
        first: number of the clip's first sample in it.
        count: number of samples.
    """

    _file: IO[bytes]
    _first: int
    _count: int

    def __init__(self, file: IO[bytes], first: int, count: int, rate: int, path: str) -> None:
        # A frozen dataclass lets nobody else set attributes.
        self.__dict__.update(_file=file, _first=first, _count=count, rate=rate, path=path)

    @property
    def samples(self) -> np.ndarray:
        """`(n,)` int16, mono."""
        content = os.pread(self._file.fileno(), 2 * self._count, 2 * self._first)
        return np.frombuffer(content, np.int16)

    @property
    def count(self) -> int:
        return self._count

    def part(self, first: int, last: int, path: str) -> Clip:
        first, last, _ = slice(first, last).indices(self._count)
        size = max(last - first, 0)
        return _ClipOnDisk(self._file, self._first + first, size, self.rate, path)


class ClipSpool:
    """Collects clips, whose samples lie in one array, or in a file if they are many."""

    def __init__(self) -> None:
        self._spool = Spool(np.int16)
        self._heads: list[tuple[int, str]] = []

    def append(self, clip: Clip) -> None:
        """Add a clip.

        Raises:
            UserError: the clips need more memory than allowed, and the temporary folder is full.
        """
        self._spool.append(clip.samples)
        self._heads.append((clip.rate, clip.path))

    def finish(self) -> list[Clip]:
        """All clips that were added; none may be added afterwards."""
        on_disk = self._spool.finish_on_disk()
        if on_disk is not None:
            file, offsets = on_disk
            return [
                _ClipOnDisk(file, int(start), int(end - start), rate, path)
                for (start, end), (rate, path) in zip(
                    itertools.pairwise(offsets), self._heads, strict=True
                )
            ]
        values, offsets = self._spool.finish()
        parts = zip(itertools.pairwise(offsets), self._heads, strict=True)
        return [Clip(values[start:end], rate, path) for (start, end), (rate, path) in parts]


def spooled(clips: Iterable[Clip]) -> list[Clip]:
    """The clips, kept by a `ClipSpool`; a generator needs to hold only one at a time."""
    spool = ClipSpool()
    for clip in clips:
        spool.append(clip)
    return spool.finish()


def checked_rate(rate: float) -> int:
    """The rate as a whole number of Hz.

    Raises:
        UserError: it is not a whole number, or outside the range of recordings.
    """
    low, high = _RATES
    number = np.asarray(rate)
    if number.ndim or number.dtype.kind not in "iuf" or not low <= number <= high or number % 1:
        shown = rate if number.ndim == 0 else f"an array of shape {number.shape}"
        raise UserError(f"a sample rate of {shown} Hz is not possible; give {low} to {high:,}")
    return int(number)


def check_finite(floats: np.ndarray) -> None:
    """Refuse NaN and infinite samples.

    Raises:
        UserError: says how many, and where the first is.
    """
    # The sum of finite samples is finite, and costs less than checking each.
    with np.errstate(invalid="ignore", over="ignore"):
        total = floats.sum(dtype=np.float64)
    if np.isfinite(total):
        return
    bad = ~np.isfinite(floats)
    if bad.any():
        first = np.argwhere(bad)[0][0]
        raise UserError(
            f"{int(bad.sum()):,} of {floats.size:,} samples are NaN or infinite, the first at "
            f"sample {first}; write the recording again, or remove it"
        )


def peak(mono: np.ndarray) -> float:
    """Largest absolute value of `(n,)` floats; 0 if there are none."""
    return float(max(mono.max(), -mono.min())) if len(mono) else 0.0


def _scaled(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / np.float32(_FULL_SCALE)


def to_int16(mono: np.ndarray) -> np.ndarray:
    """Floats of `(n,)` in [-1, 1] as 16-bit samples, rounded."""
    scaled = np.rint(mono * np.float32(_FULL_SCALE))
    return np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


def _as_floats(frames: np.ndarray) -> np.ndarray:
    """Samples of any dtype, full scale being ±1."""
    dtype = frames.dtype
    if dtype.kind == "f":
        return frames if dtype.itemsize >= 4 else frames.astype(np.float32)
    if dtype == np.uint8:
        return (frames.astype(np.float32) - 128) / 128
    if dtype.kind != "i":
        raise UserError(
            f"an array of {dtype} is not a recording; give int16, or float32 in the range ±1"
        )
    bits = 8 * dtype.itemsize
    if bits > 16:
        fits = frames.min(initial=0) >= -_FULL_SCALE and frames.max(initial=0) < _FULL_SCALE
        bits = 16 if fits else 32
    return frames.astype(np.float32 if bits <= 16 else np.float64) / 2 ** (bits - 1)
