"""Clips that come as arrays one after the other, more of them than memory holds."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from apps.data.kind import Collector
from apps.data.videos.video import Video
from apps.errors import UserError

# UCF-101's; the features of TensorFlow Datasets state no rate.
_USUAL_RATE = 25
# Real footage is off by 1.4 of 255 levels in the mean then, and takes a twenty-fifth of the bytes.
_OPTIONS = {"preset": "ultrafast", "crf": "12", "g": "50", "threads": "1"}


class HeldVideos(Collector):
    """Writes each clip to a file of its own as H.264, since TFDS gives 35 MB for seven seconds.

    The files lie where `TMPDIR` says, and go with the last clip.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="videos-")
        self._videos: list[Video] = []

    def add(self, value: Any) -> None:
        """Take the frames `(frames, height, width, 3)` uint8 of the next row.

        Raises:
            UserError: they are none, or the temporary folder is full.
        """
        video = Video.of(value, _USUAL_RATE)
        file = Path(self._folder.name) / f"{len(self._videos)}.mkv"
        try:
            _write(file, np.asarray(value))
        except OSError as error:
            raise UserError(
                f"clips cannot be written to the folder {tempfile.gettempdir()} "
                f"({error.strerror or error}); name a roomier one: TMPDIR=FOLDER"
            ) from None
        self._videos.append(dataclasses.replace(video, path=str(file), content=self._folder))

    def values(self) -> Sequence[Video]:
        return self._videos


def _write(file: Path, frames: np.ndarray) -> None:
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", Fraction(_USUAL_RATE), options=_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        # Full chroma, which also allows of odd sizes.
        stream.pix_fmt = "yuv444p"
        for array in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
