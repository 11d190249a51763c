"""WAV files whose header is not what the file holds: lengths never written, chunks out of order."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

_TAGS = (b"RIFF", b"RF64", b"BW64")
# Writers that cannot seek back leave the length open: they write about 2³¹ or 2³².
OPEN_LENGTH = 0x7FFF0000
# A recorder that was killed left more than this behind the length that it had written last.
_TAIL_SECONDS = 0.1


@dataclass
class _Chunks:
    """What a scan found.

    Attributes:
        format: the content of the chunk `fmt `.
        data: beginning and size of each chunk of samples.
        in_order: whether libsndfile finds the same.
    """

    format: bytes = b""
    data: list[tuple[int, int]] | None = None
    in_order: bool = True


def mended(file: BinaryIO) -> io.BytesIO | None:
    """A file with a header that says what the file holds.

    Args:
        file: a file that can be sought; its position is lost.

    Returns:
        Format and samples, where libsndfile would not find all of the samples, because their length
        is 0, that of an earlier moment or left open in 64 bits, or because of the order of the
        chunks. None where it finds them, and for everything that is no WAV file.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] not in _TAGS or head[8:] != b"WAVE":
        return None
    found = _scan(file, head)
    if not found.format or not found.data or found.in_order:
        return None
    samples = []
    for start, size in found.data:
        file.seek(start)
        samples.append(file.read(size))
    content = b"".join(samples)
    form = b"fmt " + struct.pack("<I", len(found.format)) + found.format
    form += b"\0" * (len(found.format) % 2)
    size = min(len(content), 2**32 - 1)
    whole = min(len(content) + len(form) + 12, 2**32 - 1)
    return io.BytesIO(
        b"".join(
            [b"RIFF", struct.pack("<I", whole), b"WAVE", form, b"data", struct.pack("<I", size)]
        )
        + content
    )


def _scan(file: BinaryIO, head: bytes) -> _Chunks:
    found, total = _Chunks(), file.seek(0, io.SEEK_END)
    found.in_order = head[:4] != b"BW64"
    outer = struct.unpack("<I", head[4:8])[0] + 8
    wide, place = 0, len(head)
    while (chunk := _chunk(file, place, total)) is not None:
        name, size, begin = chunk
        if name == b"ds64":
            wide = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))[0]
        elif name == b"fmt ":
            found.format = file.read(size)
        elif name == b"data":
            is_wide = head[:4] != b"RIFF" and size == 2**32 - 1
            stated = wide if is_wide else size
            open_end = stated >= OPEN_LENGTH and stated > total - begin
            if open_end or _goes_on(file, found.format, begin + stated, total, outer, stated):
                # libsndfile itself reads to the end where 32 bits leave the length open.
                found.in_order &= open_end and not is_wide
                size = total - begin
            else:
                size = stated
            found.in_order &= bool(found.format) and not found.data
            found.data = [*(found.data or []), (begin, min(size, total - begin))]
        place = begin + size + size % 2
    return found


def _goes_on(file: BinaryIO, form: bytes, place: int, total: int, outer: int, stated: int) -> bool:
    """Whether samples, not chunks, follow the place where they should have ended."""
    rest = total - place
    rate = struct.unpack("<I", form[8:12])[0] if len(form) >= 12 else 0
    if rest <= 0 or (stated and (outer >= total or rest < _TAIL_SECONDS * rate)):
        return False
    if any(_chain(file, place + pad, total) for pad in (0, stated % 2)):
        return False
    file.seek(place)
    return any(file.read(rest))


def _chain(file: BinaryIO, place: int, total: int) -> bool:
    """Whether chunks follow, one behind the other, to the end of the file."""
    while total - place > 1:
        chunk = _chunk(file, place, total)
        if chunk is None or chunk[1] > total - chunk[2]:
            return False
        place = chunk[2] + chunk[1] + chunk[1] % 2
    return True


def _chunk(file: BinaryIO, place: int, total: int) -> tuple[bytes, int, int] | None:
    """Name, size and beginning of the content of a chunk; None where there is none."""
    if total - place < 8:
        return None
    file.seek(place)
    head = file.read(8)
    if not all(32 <= letter < 127 for letter in head[:4]):
        return None
    return head[:4], struct.unpack("<I", head[4:])[0], place + 8
