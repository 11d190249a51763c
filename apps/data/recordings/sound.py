"""Sound from a file, or from standard input as it arrives."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.data.files import explained
from apps.data.recordings.clip import check_finite, checked_rate
from apps.data.recordings.pcm import PcmFormat, PcmStream, Readable
from apps.data.recordings.riff import mended
from apps.errors import UserError

_BLOCK_FRAMES = 4096


@dataclass(frozen=True)
class Sound:
    """A sound that is read once, a block at a time.

    Attributes:
        blocks: `(n,)` float32 in [-1, 1], mono, of any size.
        rate: samples a second, Hz.
    """

    blocks: Iterable[np.ndarray]
    rate: int

    def chunks(self, rate: int, size: int) -> Iterator[np.ndarray]:
        """The sound at another rate in chunks, each as soon as its samples have arrived.

        Args:
            rate: samples a second, Hz.
            size: samples of a chunk; the last one may have fewer.

        Returns:
            `(size,)` float32 each. Only what the resampling filter needs is held back.
        """
        kept = np.zeros(0, np.float32)
        for block in self._resampled(rate):
            kept = np.concatenate([kept, block]) if len(kept) else block
            whole = len(kept) // size * size
            yield from kept[:whole].reshape(-1, size)
            kept = kept[whole:]
        if len(kept):
            yield kept

    def _resampled(self, rate: int) -> Iterator[np.ndarray]:
        if rate == self.rate:
            yield from self.blocks
            return
        import soxr

        stream = soxr.ResampleStream(self.rate, rate, 1, dtype="float32", quality="HQ")
        for block in self.blocks:
            # A band-limited curve through full-scale samples overshoots them.
            yield np.clip(stream.resample_chunk(block), -1.0, 1.0)
        yield np.clip(stream.resample_chunk(np.zeros(0, np.float32), last=True), -1.0, 1.0)


def from_file(path: Path) -> Sound:
    """The sound of a file of any length; channels are mixed, floats clipped to ±1.

    Args:
        path: wav, flac, ogg, mp3 or whatever else libsndfile recognises.

    Raises:
        UserError: the file cannot be opened, is not audio or is empty; raised while reading, it is
            damaged or holds NaN or infinite samples.
    """
    import soundfile

    with explained(path), open(path, "rb") as file:
        if not file.read(1):
            raise UserError(f"{path} is empty (0 bytes); record or copy it again")
        source = mended(file) or path
    try:
        with soundfile.SoundFile(source) as sound:
            rate = checked_rate(sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error) from None
    return Sound(_blocks(path, source), rate)


def _blocks(path: Path, source: Path | io.BytesIO) -> Iterator[np.ndarray]:
    import soundfile

    if isinstance(source, io.BytesIO):
        source.seek(0)
    try:
        with soundfile.SoundFile(source) as sound:
            while len(block := sound.read(_BLOCK_FRAMES, "float32", always_2d=True)):
                mono = block.mean(axis=1, dtype=np.float32)
                try:
                    check_finite(mono)
                except UserError as error:
                    raise UserError(f"{path}, before sample {sound.tell()}: {error}") from None
                yield np.clip(mono, -1.0, 1.0)
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "error_string", str(error)).rstrip(".")
    return UserError(
        f"{path} is not audio that can be read ({reason}); copy it again, or convert it to wav or "
        "flac"
    )


def from_stream(
    stream: Readable, *, rate: int | None, layout: str | None, channels: int | None, usual: int
) -> Sound:
    """The sound of raw samples, or of a WAV file, that arrive in a stream.

    Args:
        stream: the bytes; the call waits for the first of them.
        rate: samples a second, Hz; None for `usual`.
        layout: a key of `pcm.FORMATS`; None for `s16le`.
        channels: interleaved channels; None for 1.
        usual: the default rate of raw samples, Hz.

    Raises:
        UserError: the stream has a header although its format was given; the header is damaged; the
            rate is not possible.
    """
    samples = PcmStream(stream)
    if samples.header is None:
        chosen = PcmFormat(layout or "s16le", channels or 1)
        return Sound(samples.blocks(chosen), checked_rate(usual if rate is None else rate))
    stated, header_rate = samples.header
    if rate is not None or layout is not None or channels is not None:
        raise UserError(
            f"standard input is a WAV stream of {header_rate} Hz, {stated.name}, channels: "
            f"{stated.channels}; leave out --rate, --format and --channels"
        )
    return Sound(samples.blocks(stated), checked_rate(header_rate))
