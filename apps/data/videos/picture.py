"""One decoded frame as a small square picture in the colours that are seen."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

# The two flags keep libswscale's result within half a level of a mean over the exact picture;
# without them it is 1.6 levels too dark.
_AREA = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_DEINTERLACE = "mode=frame:deint=all"


class Pictures:
    """Scales frames of one video; the tables of the scaler are kept from frame to frame.

    Args:
        size: side of the pictures, pixels.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._scaler = VideoReformatter()

    def of(self, frame: av.VideoFrame) -> np.ndarray:
        """The whole frame as a square; its aspect ratio is not kept, so that pixels need not be
        square either.

        Means over areas are taken, so that nothing aliases. Interlaced frames are made of their
        first field, whose missing lines are drawn along edges; what is transparent is black; a
        frame that is stored turned or mirrored is seen as a player shows it.

        Returns:
            `(size, size, 3)` uint8, RGB.
        """
        stored = frame
        if frame.interlaced_frame:
            frame = _deinterlaced(frame)
        if any(component.is_alpha for component in frame.format.components):
            frame = _over_black(frame)
        small = self._scaler.reformat(
            frame, self._size, self._size, "rgb24", interpolation=_AREA, threads=1
        )
        return np.ascontiguousarray(upright(small.to_ndarray(), stored))

    def of_array(self, array: npt.NDArray[np.uint8]) -> np.ndarray:
        """The same of `(height, width, 3)` uint8, RGB."""
        return self.of(av.VideoFrame.from_ndarray(np.ascontiguousarray(array), "rgb24"))


def upright(picture: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """A picture `(height, width, 3)` of a frame, turned and mirrored as the frame says."""
    right, down = _axes(frame)
    if sideways(frame):
        picture = picture.swapaxes(0, 1)
    return picture[:: -1 if min(down) < 0 else 1, :: -1 if min(right) < 0 else 1]


def sideways(frame: av.VideoFrame) -> bool:
    """Whether height and width change places when the frame is displayed."""
    (across, along), _ = _axes(frame)
    return abs(along) > abs(across)


def _axes(frame: av.VideoFrame) -> tuple[tuple[int, int], tuple[int, int]]:
    """How far to the right, and how far down, one step right and one step down in a frame go."""
    stored: Any = frame.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return (1, 0), (0, 1)
    # x' = a x + c y, y' = b x + d y; the nearest of the eight ways that a frame can lie is taken.
    a, b, _, c, d, *_ = np.frombuffer(bytes(stored), np.int32).astype(int).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1, 0), (0, -1 if d < 0 else 1)
    return (0, -1 if c < 0 else 1), (-1 if b < 0 else 1, 0)


def _deinterlaced(frame: av.VideoFrame) -> av.VideoFrame:
    """The first field of a frame with the lines between: a filter that needs no neighbours."""
    graph: Any = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name, time_base=frame.time_base
    )
    filtered, sink = graph.add("estdif", _DEINTERLACE), graph.add("buffersink")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    return graph.pull()


def _over_black(frame: av.VideoFrame) -> av.VideoFrame:
    pixels = frame.reformat(format="rgba", threads=1).to_ndarray()
    seen = pixels[..., :3].astype(np.uint16) * pixels[..., 3:] // 255
    return av.VideoFrame.from_ndarray(seen.astype(np.uint8), "rgb24")
