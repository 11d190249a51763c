"""Raw samples and the header of a WAV stream, read from a pipe as they arrive."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from apps.data.recordings.clip import MOST_CHANNELS, check_finite
from apps.data.recordings.riff import OPEN_LENGTH
from apps.errors import UserError

FORMATS = {"u8": 1, "s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "f64le": 8}

# Tags of the chunk `fmt `: integers, floats, and "see the first two bytes of the subformat".
_INTEGERS, _FLOATS, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBFORMAT = 24
_MOST_BYTES = 1 << 16


class Readable(Protocol):
    """A binary stream whose `read` gives what has arrived, b"" at its end."""

    def read(self, size: int, /) -> bytes | None: ...


@dataclass(frozen=True)
class PcmFormat:
    """The layout of samples in a stream of bytes.

    Attributes:
        name: a key of `FORMATS`.
        channels: interleaved channels.
    """

    name: str
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one moment."""
        return FORMATS[self.name] * self.channels

    def decode(self, content: bytes) -> np.ndarray:
        """Whole frames as sound.

        Args:
            content: a multiple of `frame_bytes`.

        Returns:
            `(n,)` float32, the mean of the channels; full scale is ±1.

        Raises:
            UserError: samples are NaN or infinite.
        """
        samples = self._floats(content)
        check_finite(samples)
        mono = samples.reshape(-1, self.channels).mean(axis=1, dtype=np.float32)
        return np.clip(mono, -1.0, 1.0)

    def _floats(self, content: bytes) -> np.ndarray:
        if self.name in ("f32le", "f64le"):
            return np.frombuffer(content, f"<f{FORMATS[self.name]}")
        if self.name == "u8":
            return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
        if self.name == "s24le":
            # As the three upper bytes of 32 bits.
            wide = np.zeros((len(content) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            return wide.view("<i4")[:, 0] / np.float32(2**31)
        size = FORMATS[self.name]
        return np.frombuffer(content, f"<i{size}") / np.float32(2 ** (8 * size - 1))


class PcmStream:
    """Sound in a stream of bytes: raw samples, or a WAV file that is still being written.

    Args:
        stream: the bytes; its beginning is read at once.

    Attributes:
        header: format and rate in Hz that the stream itself states; None where it is raw.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._ahead = b""
        self._left: int | None = None
        self.header: tuple[PcmFormat, int] | None = None
        start = self._exactly(12)
        if start[:4] == b"RIFF" and start[8:] == b"WAVE":
            self.header = self._header()
        else:
            self._ahead = start

    def blocks(self, layout: PcmFormat) -> Iterator[np.ndarray]:
        """The sound as it arrives, `(n,)` float32; a frame cut off by the end is left out.

        Args:
            layout: the layout of the samples.

        Raises:
            UserError: samples are NaN or infinite.
        """
        kept, size = b"", layout.frame_bytes
        for content in self._contents():
            kept += content
            whole = len(kept) // size * size
            if whole:
                yield layout.decode(kept[:whole])
                kept = kept[whole:]

    def _contents(self) -> Iterator[bytes]:
        content = self._ahead or self._stream.read(_MOST_BYTES)
        while content:
            if self._left is not None:
                content = content[: self._left]
                self._left -= len(content)
            if content:
                yield content
            content = None if self._left == 0 else self._stream.read(_MOST_BYTES)

    def _exactly(self, size: int) -> bytes:
        """Exactly that many bytes, fewer only where the stream ends."""
        parts = b""
        while len(parts) < size and (content := self._stream.read(size - len(parts))):
            parts += content
        return parts

    def _header(self) -> tuple[PcmFormat, int]:
        found: tuple[PcmFormat, int] | None = None
        while len(head := self._exactly(8)) == 8:
            name, size = head[:4], struct.unpack("<I", head[4:])[0]
            if name == b"data":
                if found is None:
                    raise UserError(
                        "the WAV stream has its samples before their format; send raw ones"
                    )
                self._left = size if 0 < size < OPEN_LENGTH else None
                return found
            content = self._exactly(size + size % 2)
            if name == b"fmt ":
                found = _format(content)
        raise UserError("the WAV stream ends within its header; send the whole of it")


def _format(content: bytes) -> tuple[PcmFormat, int]:
    """Format and rate of a chunk `fmt `."""
    if len(content) < 16:
        raise UserError("the WAV stream's header is damaged; send raw samples instead")
    tag, channels, rate = struct.unpack("<HHI", content[:8])
    bits = struct.unpack("<H", content[14:16])[0]
    if tag == _EXTENSIBLE and len(content) >= _SUBFORMAT + 2:
        tag = struct.unpack("<H", content[_SUBFORMAT : _SUBFORMAT + 2])[0]
    kind = {_INTEGERS: "u" if bits == 8 else "s", _FLOATS: "f"}.get(tag, "?")
    name = f"{kind}{bits}" if bits == 8 else f"{kind}{bits}le"
    if name not in FORMATS or not 1 <= channels <= MOST_CHANNELS:
        raise UserError(
            f"the WAV stream has {channels} channels of {bits} bits, coding {tag}; send one of "
            f"{', '.join(FORMATS)}, such as ffmpeg's -c:a pcm_s16le"
        )
    return PcmFormat(name, channels), rate
