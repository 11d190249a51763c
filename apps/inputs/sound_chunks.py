"""A sound as chunks of a stream: a file, a pipe of raw samples or a WAV stream."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.configuration import Options, fixed
from apps.data.recordings.sound import Sound, from_file, from_stream
from apps.errors import UserError
from apps.following import Chunk


@dataclass(frozen=True)
class SoundOptions(Options):
    """How a sound is read: `chunk_ms` milliseconds at a time.

    `rate` in Hz, `format` and `channels` say what raw samples of standard input are: of the
    model's rate, s16le and mono unless given. A file, and a WAV stream, say so themselves.
    """

    chunk_ms: float = fixed(20.0, low=1.0, high=10_000.0)
    rate: int | None = fixed(None, low=100, high=10_000_000)
    format: str | None = fixed(None, choices=("s16le", "f32le"))
    channels: int | None = fixed(None, low=1, high=64)


def opened_sound(source: Path | io.RawIOBase, options: SoundOptions, rate: int) -> Sound:
    """The sound of a file or of standard input.

    Args:
        source: a file, or the stream of bytes.
        options: what is said of raw samples.
        rate: of raw samples of which nothing is said, Hz.

    Raises:
        UserError: it cannot be opened, or something else is said of it than it says itself.
    """
    raw = {"rate": options.rate, "format": options.format, "channels": options.channels}
    if isinstance(source, Path):
        for name, value in raw.items():
            if value is not None:
                raise UserError(f"--{name} {value}: a file says it itself; leave it out")
        return from_file(source)
    return from_stream(
        source, rate=options.rate, layout=options.format, channels=options.channels, usual=rate
    )


def sound_chunks(
    sound: Sound, metadata: Mapping[str, Any], options: SoundOptions
) -> Iterator[Chunk]:
    """A sound in chunks of one size, and behind it the silence that a model waits for.

    Args:
        sound: read once.
        metadata: `sample_rate` in Hz, and the samples of `trailing_silence`, if any.
        options: the milliseconds of a chunk.

    Yields:
        `audio` `(1, samples)` float32 at the model's rate, `lengths` `(1,)` int32, and the seconds
        heard so far.
    """
    rate: int = metadata["sample_rate"]
    size = max(1, round(rate * options.chunk_ms / 1000))
    silence = np.zeros(metadata.get("trailing_silence", 0), np.float32)
    heard = 0
    for samples in _both(sound.chunks(rate, size), silence, size):
        audio = np.zeros((1, size), np.float32)
        audio[0, : len(samples)] = samples
        heard += len(samples)
        yield Chunk({"audio": audio, "lengths": np.array([len(samples)], np.int32)}, heard / rate)


def _both(chunks: Iterable[np.ndarray], behind: np.ndarray, size: int) -> Iterator[np.ndarray]:
    yield from chunks
    for start in range(0, len(behind), size):
        yield behind[start : start + size]
