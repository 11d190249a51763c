"""The frames of clips as a model takes them: decoded bytes, or files of images."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.data import LazyRows
from apps.data.finding import attempted
from apps.data.sequences import Stored
from apps.data.spool import Spool
from apps.data.videos.cache import FrameCache
from apps.data.videos.video import Video
from apps.errors import UserError
from apps.layers.video.image_files import decode_images
from apps.layers.video.sampling import FrameSampler
from apps.signatures import Signature

# Training draws one of so many frames in each part of a clip; being odd, one is in the middle.
DRAWN_FROM = 3
_SHELL = (
    """echo '{"signature_name": "jpeg", "instances": [['$(for frame in frame*.jpg; do """
    """printf ',{"b64": "%s"}' $(base64 -w0 $frame); done | cut -c2-)']]}'"""
)


@dataclass(frozen=True, eq=False)
class ClipFrames:
    """A column of frames, `(frames, size, size, 3)` uint8 for each clip.

    Attributes:
        cache: where they lie.
        clips: one for each row.
        stored: frames of each that lie there.
        size: of them, pixels.
        taken: which of them a row has.
    """

    cache: FrameCache
    clips: Sequence[Video]
    stored: int
    size: int
    taken: slice

    lengths = None
    dtype = np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row."""
        return (len(range(self.stored)[self.taken]), self.size, self.size, 3)

    def __len__(self) -> int:
        return len(self.clips)

    def fetch(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Frames of some clips, `(batch, frames, size, size, 3)`."""
        batch = np.zeros((len(rows), *self.shape), self.dtype)
        for place, row in enumerate(rows):
            batch[place] = self.cache.get(self.clips[row], self.stored, self.size)[self.taken]
        return batch

    def features(self, width: int, network: str, of: Callable[[np.ndarray], np.ndarray]) -> Stored:
        """What a network makes of the same frames, `(frames, width)` for each clip.

        They are read from the cache or computed at once, and kept in memory or in a temporary file.

        Args:
            width: numbers for each frame.
            network: names the network and its weights in a few letters and digits.
            of: makes `(count, width)` of frames `(count, size, size, 3)`; several threads call it.

        Raises:
            UserError: a clip cannot be decoded, or the temporary folder is full.
        """
        get = functools.partial(
            self.cache.features,
            count=self.stored,
            size=self.size,
            width=width,
            network=network,
            of=of,
        )
        spool = Spool(np.float16)
        jobs = {row: functools.partial(get, clip) for row, clip in enumerate(self.clips)}
        for _, made in attempted(jobs, "features"):
            if isinstance(made, UserError):
                raise made
            spool.append(made[self.taken])
        values = spool.finish()[0].reshape(len(self), -1, width)
        return LazyRows(values.__getitem__, len(self), np.dtype(np.float32), values.shape[1:])


class Pictures:
    """Clips as `frames` `(batch, frames, size, size, 3)` uint8, RGB.

    Args:
        sampler: says how many frames of a clip are taken, and their size.
        cache: keeps decoded frames.
    """

    def __init__(self, sampler: FrameSampler, cache: FrameCache) -> None:
        self._sampler, self._cache = sampler, cache

    def tensors(self, clips: Sequence[Video], *, drawn: bool) -> dict[str, Any]:
        """The model's input for some clips; `drawn_from` times as many frames if they are drawn."""
        stored, size = DRAWN_FROM * self._sampler.frames, self._sampler.size
        taken = slice(None) if drawn else slice(DRAWN_FROM // 2, None, DRAWN_FROM)
        return {"frames": ClipFrames(self._cache, clips, stored, size, taken)}

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        """Decoded frames of any number and size."""
        frames = keras.Input((None, None, None, 3), dtype="uint8", name="frames")
        return {"frames": frames, "lengths": keras.Input((), dtype="int32", name="lengths")}

    def edge_cases(self) -> dict[str, np.ndarray]:
        """No frame at all, one frame, noise, black."""
        frames, size = self._sampler.frames, self._sampler.size
        found = np.zeros((4, frames, size, size, 3), np.uint8)
        found[1, 0] = 255
        found[2] = np.random.default_rng(0).integers(0, 256, found.shape[1:])
        return {"frames": found, "lengths": np.array([0, 1, frames, frames], np.int32)}

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """`jpeg`, which takes each clip as a list of JPEG or PNG files in place of decoded frames.

        Lists in one batch are filled up to one length with empty strings.
        """
        sampler = self._sampler

        def serve_files(files: tf.Tensor) -> dict[str, tf.Tensor]:
            return serving.call(*decode_images(files, sampler))

        def example(inputs: Mapping[str, Any], answers: Mapping[str, Any]) -> Any:
            count = int(inputs["lengths"][0])
            # PNG, since JPEG changes the frames, and the answers with them.
            files = [_png(frame) for frame in inputs["frames"][0, :count]] or [b""]
            return {"jpeg": np.array([files], object)}, answers

        spec = tf.TensorSpec((None, None), tf.string, name="jpeg")
        return {"jpeg": Signature({"jpeg": spec}, serve_files, example=example, shell=_SHELL)}

    def metadata(self) -> dict[str, Any]:
        """What a client must know to cut a video."""
        return {"size": self._sampler.size}


def raw_frames(clips: Sequence[Video], metadata: Mapping[str, Any]) -> np.ndarray:
    """Frames of clips as a client sends them, `(clips, frames, size, size, 3)` uint8."""
    count, size = metadata["frames"], metadata["size"]
    found = np.zeros((len(clips), count, size, size, 3), np.uint8)
    for row, clip in enumerate(clips):
        found[row] = clip.sampled(count, size)
    return found


def _png(frame: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, format="PNG")
    return file.getvalue()
