"""Videos: where they lie and what they are, decoded only when frames are asked for."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.data.videos.reading import pictures_at
from apps.data.videos.stills import Frames, Stills, checked_rate, cut
from apps.errors import UserError


@dataclass(frozen=True, eq=False)
class Video:
    """One clip; it holds no pictures, so that a list of 10,000 is only an index.

    Attributes:
        path: a file, or a folder of images; empty if it came from memory.
        seconds: duration.
        frames: how many there are; of a part, how many its share of the time has.
        width: of the picture as it is displayed, turned upright and with square pixels.
        height: the same.
        digest: SHA-256 of the content and of the part, 64 hexadecimal digits.
        begin: where a part begins, in seconds from the first frame.
        end: where it ends; None for the end of the file.
        fault: why it cannot be used, in one line; empty if it can.
        content: the pictures, where they are no video file; else whatever must be kept as long as
            the file is used; None for a file of the user's.
    """

    path: str
    seconds: float
    frames: int
    width: int
    height: int
    digest: str
    begin: float = 0.0
    end: float | None = None
    fault: str = ""
    content: Any = dataclasses.field(default=None, repr=False)

    @classmethod
    def of(cls, array: Any, fps: float, path: str = "") -> Video:
        """A video of frames in memory.

        Args:
            array: `(frames, height, width, 3)` uint8, RGB; it must not change afterwards.
            fps: frames a second.
            path: what to call it.

        Raises:
            UserError: the array is no such video, or the rate is not possible.
        """
        frames = np.asarray(array)
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
            raise UserError(
                f"an array of shape {frames.shape} and {frames.dtype} is no video; "
                "give (frames, height, width, 3) of uint8, RGB"
            )
        if not frames.size:
            raise UserError(f"an array of shape {frames.shape} has no pictures; remove the row")
        rate = checked_rate(fps)
        digest = hashlib.sha256(f"{frames.shape} {rate} ".encode())
        digest.update(np.ascontiguousarray(frames).data)
        count, height, width, _ = frames.shape
        content = Frames(frames, rate)
        return cls(path, count / rate, count, width, height, digest.hexdigest(), content=content)

    def __str__(self) -> str:
        return f"video {self.digest}"

    def part(self, begin: float, end: float) -> Video:
        """A part of it as a video of its own.

        Args:
            begin: in seconds from the beginning of this video.
            end: the same; cut to the duration.

        Raises:
            ValueError: the part is empty.
        """
        span = cut(begin, end, self.seconds, self.digest)
        if span is None:
            return self
        first, last, digest = span
        return dataclasses.replace(
            self,
            seconds=last - first,
            frames=max(1, round(self.frames * (last - first) / self.seconds)),
            digest=digest,
            begin=self.begin + first,
            end=self.begin + last,
        )

    def sampled(self, count: int, size: int) -> np.ndarray:
        """The frames that are on the screen at the middles of equal parts of its duration.

        Times are those of presentation, so that a variable rate is kept, and a clip of fewer frames
        repeats some. The whole picture is scaled to a square, its aspect ratio not kept, by means
        over areas, so that nothing aliases. It is computed anew at each call; see `FrameCache`.

        Args:
            count: number of frames.
            size: side of the pictures, pixels.

        Returns:
            `(count, size, size, 3)` uint8, RGB.

        Raises:
            UserError: the file is missing, is no video, or is mostly damaged.
        """
        if self.fault:
            raise UserError(self.fault)
        times = self.begin + (np.arange(count) + 0.5) * (self.seconds / count)
        if isinstance(self.content, Stills):
            return self.content.pictures_at(times, size)
        return pictures_at(Path(self.path), times, size)
