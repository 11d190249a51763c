"""Decoding of recordings: wav, flac, ogg, mp3 and whatever else libsndfile recognises."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.data.recordings.clip import Clip, check_finite, checked_rate, peak, to_int16
from apps.data.recordings.riff import OPEN_LENGTH, mended
from apps.errors import UserError

if TYPE_CHECKING:
    import soundfile

# These tell recordings from the other files of a folder; the content decides how one is decoded.
SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"),
    *(".sph", ".m4a", ".aac", ".wma", ".amr", ".webm"),
)
_BLOCK_FRAMES = 1 << 18
# A 16-bit read of these is exact; wider ones are read as floats and rounded once.
_NARROW = frozenset({"PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW"})
# libsndfile's note where a header promises more bytes than follow: WAV, AIFF, AU, W64, RF64.
_SHORTENED = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
# Less than a step of any front end does no harm; sizes that count a padding byte are common.
_TOLERATED_SECONDS = 0.01
_LFS_POINTER = b"version https://git-lfs"


def decode(path: Path) -> Clip:
    """Read a recording, mono and in 16 bits.

    Args:
        path: the file; its content, not its name, decides how it is read.

    Returns:
        The clip: the mean of several channels, scaled down as a whole where floats exceed ±1.

    Raises:
        UserError: the file cannot be opened, is not audio, is damaged, ends before its header says,
            or holds no samples, or NaN or infinite ones.
        OSError: the operating system refuses to open or read it.
    """
    # Unbuffered, so that the descriptor's position is that of Python's file.
    with open(path, "rb", buffering=0) as file:
        head = file.read(len(_LFS_POINTER))
        if not head:
            raise UserError(f"{path} is empty (0 bytes); record or copy it again, or remove it")
        if head == _LFS_POINTER:
            raise UserError(f"{path} is a pointer of Git LFS, not the recording; run: git lfs pull")
        file.seek(0)
        return _decode(file, str(path))


def decode_bytes(content: bytes, path: str = "") -> Clip:
    """Read a recording from the bytes of its file; see `decode`."""
    return _decode(io.BytesIO(content), path)


def _decode(file: io.FileIO | io.BytesIO, path: str) -> Clip:
    import soundfile

    name = path or "the recording"
    file = mended(file) or file
    try:
        samples, rate, highest = _samples(file, name, 1.0)
        if highest > 1.0:
            samples, rate, _ = _samples(file, name, 1.0 / highest)
    except soundfile.LibsndfileError as error:
        raise _undecodable(name, error) from None
    return Clip(samples, rate, path)


def _samples(file: io.FileIO | io.BytesIO, name: str, gain: float) -> tuple[np.ndarray, int, float]:
    """Samples `(n,)` int16, their rate in Hz, and the largest absolute value before the gain.

    A file is read in blocks, so that an hour of many channels is never in memory as floats; where
    the peak turns out to need another gain, the file is read again.
    """
    import soundfile

    file.seek(0)
    # With a descriptor the extension does not matter, and reads do not call back into Python.
    source = file if isinstance(file, io.BytesIO) else file.fileno()
    with soundfile.SoundFile(source, closefd=False) as sound:
        try:
            rate = checked_rate(sound.samplerate)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        narrow = sound.channels == 1 and sound.subtype in _NARROW
        dtype = "int16" if narrow else "float32"
        blocks: deque[np.ndarray] = deque()
        highest, count = 0.0, 0
        while True:
            block = sound.read(_BLOCK_FRAMES, dtype, always_2d=not narrow)
            if not len(block):
                break
            if not narrow:
                mono, block_peak = _mono(block, name, count)
                highest = max(highest, block_peak)
                block = to_int16(mono * np.float32(gain))
            blocks.append(block)
            count += len(block)
        _check_whole(sound, count, name)
    return _joined(blocks, count), rate, highest


def _mono(frames: np.ndarray, name: str, before: int) -> tuple[np.ndarray, float]:
    """Mean of the channels, `(n,)` float32, and its largest absolute value."""
    try:
        check_finite(frames)
    except UserError as error:
        raise UserError(f"{name}, from sample {before} on: {error}") from None
    mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    return mono, peak(mono)


def _joined(blocks: deque[np.ndarray], count: int) -> np.ndarray:
    """The blocks in one array, each freed as soon as it is copied."""
    if len(blocks) == 1:
        return blocks[0]
    samples = np.empty(count, np.int16)
    end = 0
    while blocks:
        block = blocks.popleft()
        samples[end : end + len(block)] = block
        end += len(block)
    return samples


def _check_whole(sound: soundfile.SoundFile, count: int, name: str) -> None:
    """Refuse a file that holds nothing, or less than its header promises."""
    if not count:
        raise UserError(f"{name} holds no samples, only a header; record or copy it again")
    promised = sound.frames / sound.samplerate
    shortened = _SHORTENED.search(sound.extra_info)
    if shortened and int(shortened[1]) < OPEN_LENGTH:
        promised *= int(shortened[1]) / max(1, int(shortened[2]))
    seconds = count / sound.samplerate
    if promised - seconds > _TOLERATED_SECONDS:
        raise UserError(
            f"{name} is cut off: it holds {seconds:.2f} of the {promised:.2f} s that its header "
            "promises; copy it again, or remove it"
        )


def _undecodable(name: str, error: soundfile.LibsndfileError) -> UserError:
    reason = error.error_string.rstrip(".")
    if "lost sync" in reason or "malformed" in reason.lower():
        return UserError(f"{name} is damaged or cut off ({reason}); copy it again, or remove it")
    target = shlex.quote(f"{os.path.splitext(name)[0]}.flac")
    if target == shlex.quote(name):
        return UserError(f"{name} is not audio ({reason}); copy it again, or remove it")
    return UserError(
        f"{name} is not audio that can be read ({reason}); if it is a recording, convert it: "
        f"ffmpeg -i {shlex.quote(name)} {target}"
    )
