"""A video as chunks of a stream: a file, or what comes through a pipe, frame by frame."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.configuration import Options, fixed
from apps.data.videos.annotating import Caption, annotate, check_out
from apps.data.videos.running import running
from apps.errors import UserError
from apps.following import Annotator, Chunk, Decision

_STANDS = 2.0


@dataclass(frozen=True)
class FrameOptions(Options):
    """How a video is read: `chunk_frames` frames at a time.

    `annotate` names a file for a copy of the video with the decisions drawn onto it.
    """

    chunk_frames: int = fixed(1, low=1, high=256)
    annotate: str | None = fixed(None)


def frame_chunks(
    source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: FrameOptions
) -> Iterator[Chunk]:
    """Frames of a video at the rate that the model was trained with.

    Args:
        source: read once.
        metadata: `frames` of a clip, their `size` in pixels, and `step_seconds` between them.
        options: the frames of a chunk.

    Yields:
        `frames` `(1, time, size, size, 3)` uint8, `lengths` `(1,)` int32, and the seconds seen so
        far. A video that is shorter than a clip ends with its last frame standing.
    """
    step, size = metadata["step_seconds"], metadata["size"]
    waiting: list[np.ndarray] = []
    end, seen = 0.0, 0
    for end, picture in running(source, step, size):
        waiting.append(picture)
        seen += 1
        if len(waiting) == options.chunk_frames:
            yield _chunk(waiting, options.chunk_frames, end)
            waiting = []
    missing = metadata["frames"] - seen
    if missing > 0:
        waiting += [picture] * missing
    for start in range(0, len(waiting), options.chunk_frames):
        yield _chunk(waiting[start : start + options.chunk_frames], options.chunk_frames, end)


class ClipAnnotator(Annotator):
    """Draws each decision from the moment at which it falls until the next, or for two seconds.

    Args:
        source: a file.
        out: the copy.

    Raises:
        UserError: the source is standard input, or no copy can be written.
    """

    def __init__(self, source: Path | io.RawIOBase, out: Path) -> None:
        if not isinstance(source, Path):
            raise UserError(f"--annotate {out}: standard input is gone once read; name a file")
        check_out(out)
        self._source, self._out = source, out
        self._captions: list[Caption] = []

    def add(self, decision: Decision) -> None:
        begin, label = decision.fields["end"], decision.fields["label"]
        text = f"{label} {decision.fields['probability']:.2f}"
        self._captions.append(Caption(begin, begin + _STANDS, text))

    def finish(self) -> None:
        annotate(self._source, self._out, self._captions)


def _chunk(pictures: list[np.ndarray], size: int, end: float) -> Chunk:
    frames = np.zeros((1, size, *pictures[0].shape), np.uint8)
    frames[0, : len(pictures)] = pictures
    return Chunk({"frames": frames, "lengths": np.array([len(pictures)], np.int32)}, end)
