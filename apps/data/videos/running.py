"""A video as it runs, from its first frame to its last: a file, or what comes through a pipe."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from apps.data.videos.picture import Pictures
from apps.data.videos.reading import FORMATS, USUAL_RATE, moving, opened, reason
from apps.errors import UserError


def running(
    source: Path | io.RawIOBase, step_seconds: float, size: int
) -> Iterator[tuple[float, np.ndarray]]:
    """What a video shows in the middle of each step of its time.

    Args:
        source: a file, or a stream of bytes that need not seek (Matroska, WebM, MPEG-TS, AVI,
            Motion JPEG, or MP4 in fragments).
        step_seconds: from one picture to the next.
        size: side of the pictures, pixels.

    Yields:
        The time in seconds that the step ends at, and `(size, size, 3)` uint8, RGB.

    Raises:
        UserError: it is no video that can be read.
    """
    name = str(source) if isinstance(source, Path) else "standard input"
    pictures, number, before = Pictures(size), 0, None
    try:
        with _open(source) as container:
            stream = moving(container)
            if stream is None:
                raise UserError(f"{name} has no moving pictures; name a video")
            for begin, frame in _frames(container, stream):
                while before is not None and (number + 0.5) * step_seconds < begin:
                    number += 1
                    yield number * step_seconds, pictures.of(before)
                before, end = frame, begin + _duration(stream)
            if before is None:
                raise UserError(f"{name} has no frame that can be decoded; copy it again")
            while number == 0 or (number + 0.5) * step_seconds < end:
                number += 1
                yield number * step_seconds, pictures.of(before)
    except av.FFmpegError as error:
        raise UserError(
            f"{name} is no video that can be read ({reason(error)}); copy it again, or convert it"
        ) from None


@contextlib.contextmanager
def _open(source: Path | io.RawIOBase) -> Iterator[Any]:
    if isinstance(source, Path):
        with opened(source) as container:
            yield container
        return
    options = {"format_whitelist": FORMATS}
    with av.open(source, options=options, metadata_errors="ignore") as container:
        yield container


def _frames(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """Frames with the seconds at which they begin, ascending; a damaged packet is passed over."""
    first, last = None, 0.0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            at = last + _duration(stream) if frame.pts is None else float(frame.time)
            first = at if first is None else first
            last = max(at - first, last)
            yield last, frame


def _duration(stream: Any) -> float:
    return 1 / float(stream.average_rate or stream.guessed_rate or USUAL_RATE)
