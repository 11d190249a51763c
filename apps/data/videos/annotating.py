"""A copy of a video with texts drawn onto it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from apps.atomic import PARTIAL
from apps.data.videos.picture import upright
from apps.data.videos.reading import USUAL_RATE, moving, opened, reason
from apps.errors import UserError

# Of the height of a picture.
_LETTER, _MARGIN = 0.06, 0.02
_SUFFIXES = (".mp4", ".mkv", ".mov")


class Caption(NamedTuple):
    """A text and when it stands, in seconds."""

    begin: float
    end: float
    text: str


def annotate(source: Path, out: Path, captions: Sequence[Caption]) -> None:
    """Write a video again with captions at the top, without its sound.

    Args:
        source: a video.
        out: the copy, `.mp4`, `.mkv` or `.mov`; it is written beside its place and then renamed.
        captions: what to draw; of several at one time, the last.

    Raises:
        UserError: one of the files cannot be read or written.
    """
    beside = out.with_name(f"{PARTIAL}{out.name}")
    try:
        _write(source, beside, captions)
        os.replace(beside, out)
    except av.FFmpegError as error:
        raise UserError(f"{out}: cannot be written ({reason(error)}); name another file") from None
    finally:
        beside.unlink(missing_ok=True)


def check_out(out: Path) -> None:
    """Refuse a file that no annotated copy can become.

    Raises:
        UserError: says what to give.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise UserError(f"--annotate {out}: give a file named *.mp4, *.mkv or *.mov")
    if not out.parent.is_dir():
        raise UserError(f"--annotate {out}: there is no folder {out.parent}; make it first")


def _write(source: Path, out: Path, captions: Sequence[Caption]) -> None:
    with opened(source) as container, av.open(str(out), "w") as copy:
        stream = moving(container)
        rate = Fraction(stream.average_rate or stream.guessed_rate or round(USUAL_RATE))
        made: Any = None
        first = None
        for frame in container.decode(stream):
            at = 0.0 if frame.time is None else float(frame.time)
            first = at if first is None else first
            picture = upright(frame.to_ndarray(format="rgb24"), frame)
            # The encoder takes even sizes only.
            picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
            if made is None:
                made = copy.add_stream("libx264", rate=rate)
                made.height, made.width = picture.shape[:2]
                made.pix_fmt = "yuv420p"
                made.codec_context.time_base = Fraction(1, 90_000)
            text = next((c.text for c in captions[::-1] if c.begin <= at - first < c.end), "")
            drawn = av.VideoFrame.from_ndarray(_drawn(picture, text), "rgb24")
            drawn.pts, drawn.time_base = round((at - first) * 90_000), Fraction(1, 90_000)
            copy.mux(made.encode(drawn))
        if made is not None:
            copy.mux(made.encode())


def _drawn(picture: np.ndarray, text: str) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    if not text:
        return np.ascontiguousarray(picture)
    image = Image.fromarray(picture)
    height = max(10, round(_LETTER * image.height))
    margin = max(2, round(_MARGIN * image.height))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(height)
    box = draw.textbbox((2 * margin, 2 * margin), text, font)
    draw.rectangle((box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin), "black")
    draw.text((2 * margin, 2 * margin), text, "white", font)
    return np.asarray(image)
