"""Videos made for tests: the grey level of each frame says its number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

LEVEL = 8


def frames(count: int, width: int = 32, height: int = 24) -> np.ndarray:
    """`(count, height, width, 3)` uint8: frame number n has the level 8 n everywhere."""
    levels = (LEVEL * np.arange(count) % 256).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def numbers(pictures: np.ndarray) -> list[int]:
    """Which frames some pictures show."""
    return np.rint(pictures.mean((1, 2, 3)) / LEVEL).astype(int).tolist()


def write(
    path: Path,
    array: np.ndarray,
    *,
    fps: int = 25,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: Sequence[float] | None = None,
    aspect: Fraction | None = None,
    turned: int = 0,
    matrix: tuple[int, int, int, int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound: bool = False,
) -> Path:
    """Write a video file, its folders included.

    Args:
        path: its suffix says which container.
        array: `(frames, height, width, 3)` uint8, RGB, or `(frames, height, width)` grey.
        fps: frames a second.
        codec: of FFmpeg.
        pixels: format of the stored frames.
        times: when each frame begins, in seconds; evenly if None.
        aspect: width of a pixel to its height.
        turned: degrees that the picture is to be turned for display.
        matrix: `a, b, c, d` of the display matrix, in its place: x' = a x + c y, y' = b x + d y.
        options: of the codec.
        container_options: of the container.
        sound: whether a second of silence lies beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, fps, options=options or {})
        stream.height, stream.width = array.shape[1:3]
        stream.pix_fmt = pixels
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(turned)
        if matrix is not None:
            a, b, c, d = (part << 16 for part in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        voice: Any = container.add_stream("aac", 16000) if sound else None
        for i, picture in enumerate(array):
            kind = "rgb24" if picture.ndim == 3 else "gray"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), kind)
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[i]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16", "mono")
            silence.sample_rate = 16000
            container.mux(voice.encode(silence))
            container.mux(voice.encode(None))
    return path
