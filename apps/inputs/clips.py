"""Clips of video: a fixed number of frames of each, decoded when a batch needs them."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from apps import environment
from apps.components import Input
from apps.configuration import ApplicationConfig, fixed
from apps.data import Examples
from apps.data.finding import attempted
from apps.data.kinds.group import group
from apps.data.kinds.video import video as video_column
from apps.data.videos.cache import FrameCache
from apps.data.videos.pose import Pose
from apps.data.videos.video import Video
from apps.errors import UserError
from apps.following import Annotator, Chunk
from apps.inputs.clip_field import ClipField
from apps.inputs.clip_parts import cut_parts, part_columns
from apps.inputs.frame_chunks import ClipAnnotator, FrameOptions, frame_chunks
from apps.inputs.joints import Joints, drawn_joints, raw_joints
from apps.inputs.pictures import DRAWN_FROM, Pictures, raw_frames
from apps.layers.video.joints import JointSampler
from apps.layers.video.sampling import FrameSampler
from apps.report.video.players import add_evidence
from apps.signatures import Signature

_Clip = TypeVar("_Clip", Video, Pose)
_NAMED = 5
# So many times the usual duration.
_LONG = 10


@dataclass(frozen=True)
class ClipsConfig(ApplicationConfig):
    """Hyperparameters of every application that takes clips.

    A clip is `frames` pictures of `size` by `size` pixels, evenly spread over its duration. With
    `segment` a longer clip is cut into pieces of so many seconds, each with its label. Decoded
    frames stay on disk, up to `cache_gb` in all.
    """

    frames: int = fixed(16, low=2, high=512)
    size: int = fixed(64, low=16, high=512)
    segment: float = fixed(0.0, low=0.0, high=3600.0)
    cache_gb: float = fixed(8.0, low=0.0, high=10_000.0)


class Clips(Input):
    """Frames of a clip, or joints of a body over time, whichever the data holds.

    Args:
        column: holds the clips.
    """

    config: ClipsConfig
    page_field = ClipField()
    stream_options = FrameOptions
    passed_over = "that cannot be read"

    def __init__(self, column: str = "video") -> None:
        self.column = column
        self.columns = {column: video_column()}
        # Tuples have these in this order after clip and label.
        self.attributes = {"group": group(), **part_columns()}

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """Leave out clips that cannot be read, in training; refuse them elsewhere.

        Much of what is wrong with a file shows only when it is decoded. So training decodes all
        clips beforehand; it needs their frames anyway, and finds them on disk.
        """
        examples = cut_parts(examples, self.column)
        if not learning:
            self._refuse_faults(examples)
            return examples
        clips = examples[self.column]
        faults = {row: clip.fault for row, clip in enumerate(clips) if clip.fault}
        faults |= self._decoded({row: c for row, c in enumerate(clips) if row not in faults})
        if not faults:
            return examples
        told = [faults[row] for row in sorted(faults)]
        if len(faults) == len(examples):
            raise UserError(f"{examples.source}: no clip can be read: {told[0]}")
        for fault in told[:_NAMED]:
            environment.say(f"left out: {fault}")
        if len(told) > _NAMED:
            environment.say(f"left out: {len(told) - _NAMED} more that cannot be read")
        return examples.select([row for row in range(len(examples)) if row not in faults])

    def _refuse_faults(self, examples: Examples) -> None:
        for clip in examples[self.column]:
            if clip.fault:
                raise UserError(clip.fault)

    def _decoded(self, clips: Mapping[int, Video | Pose]) -> dict[int, str]:
        """Why clips cannot be decoded, by row; the frames of the others are on disk then."""
        if not self.config.cache_gb:
            return {}
        jobs = {
            row: functools.partial(self._keep, clip)
            for row, clip in clips.items()
            if isinstance(clip, Video)
        }
        results = attempted(jobs, "frames")
        return {row: str(found) for row, found in results if isinstance(found, UserError)}

    def _keep(self, clip: Video) -> None:
        for piece in _pieces(clip, self.config.segment):
            self._cache.get(piece, DRAWN_FROM * self.config.frames, self.config.size)

    def units(self, examples: Examples) -> Examples:
        """The clips, or the pieces of `segment` seconds that are cut from them."""
        seconds, examples = self.config.segment, cut_parts(examples, self.column)
        if not seconds:
            return examples
        clips = enumerate(examples[self.column])
        pieces = [(row, piece) for row, clip in clips for piece in _pieces(clip, seconds)]
        found = examples.select([row for row, _ in pieces])
        places = [
            f"{place} from {piece.begin:g} s" if piece.begin else place
            for place, (_, piece) in zip(found.places, pieces, strict=True)
        ]
        columns = {
            **found.columns,
            self.column: [piece for _, piece in pieces],
            "block": [row for row, _ in pieces],
        }
        return Examples(columns, places, found.source)

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        clips, config = examples[self.column], self.config
        durations = [clip.seconds for clip in clips]
        seconds = float(np.median(durations))
        longest = max(clips, key=lambda clip: clip.seconds)
        if longest.seconds > _LONG * seconds:
            environment.say(
                f"{longest.path} lasts {longest.seconds:,.0f} s, where clips last {seconds:g} s as "
                "a rule: its frames lie far apart; cut it, or set segment=SECONDS"
            )
        first = clips[0]
        if isinstance(first, Pose):
            size = (first.joints, first.dims)
            return {"sampler": JointSampler(config.frames, *size, seconds, name="sampler")}
        return {"sampler": FrameSampler(config.frames, config.size, seconds, name="sampler")}

    @property
    def poses(self) -> bool:
        """Whether clips are joints, not pictures."""
        return isinstance(self.adapted["sampler"], JointSampler)

    @property
    def _medium(self) -> Joints | Pictures:
        sampler = self.adapted["sampler"]
        if isinstance(sampler, JointSampler):
            return Joints(sampler)
        return Pictures(sampler, self._cache)

    @functools.cached_property
    def _cache(self) -> FrameCache:
        return FrameCache(limit_bytes=int(self.config.cache_gb * 2**30))

    def tensors(self, examples: Examples) -> dict[str, Any]:
        self._refuse_faults(examples)
        return self._medium.tensors(examples[self.column], drawn=False)

    def drawn_from(self, examples: Examples) -> dict[str, Any]:
        """The same for training, with more frames than a model takes, of which it draws some."""
        return self._medium.tensors(examples[self.column], drawn=True)

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        return self._medium.raw_inputs()

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        name = "joints" if self.poses else "frames"
        return {name: self.adapted["sampler"](raw[name], raw["lengths"])}

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        clips = examples[self.column]
        lengths = np.full(len(clips), metadata["frames"], np.int32)
        if "joints" in metadata:
            return {"joints": raw_joints(clips, metadata), "lengths": lengths}
        return {"frames": raw_frames(clips, metadata), "lengths": lengths}

    def edge_cases(self) -> dict[str, np.ndarray]:
        return self._medium.edge_cases()

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        return self._medium.signatures(serving)

    def chunks(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: FrameOptions
    ) -> Iterator[Chunk]:
        return frame_chunks(source, metadata, options)

    def annotator(self, source: Path | io.RawIOBase, options: FrameOptions) -> Annotator | None:
        return ClipAnnotator(source, Path(options.annotate)) if options.annotate else None

    def metadata(self) -> dict[str, Any]:
        sampler = self.adapted["sampler"]
        about = {"frames": sampler.frames, "step_seconds": sampler.seconds / sampler.frames}
        return {**about, **self._medium.metadata()}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        """Path, and length in seconds."""
        return [
            {"input": clip.path, "seconds": round(clip.seconds, 3)}
            for clip in examples[self.column]
        ]

    def add_evidence(
        self,
        rows: Sequence[MutableMapping[str, Any]],
        examples: Examples,
        track: Callable[[Examples], Mapping[str, Any]] | None,
    ) -> None:
        """Give the rows that the report draws some of their frames and their track."""
        clips = examples[self.column]

        def frames(row: int) -> np.ndarray:
            clip = clips[row]
            return drawn_joints(clip, 8, 96) if isinstance(clip, Pose) else clip.sampled(8, 96)

        add_evidence(
            rows, frames=frames, track=lambda i: track(examples.select([i])) if track else {}
        )


def _pieces(clip: _Clip, seconds: float) -> Iterator[_Clip]:
    """A clip in pieces of so many seconds, or whole if they are 0; a rest of less than half a
    piece is left out."""
    if not seconds:
        yield clip
        return
    count = max(1, math.floor(clip.seconds / seconds + 0.5))
    for number in range(count):
        yield clip.part(number * seconds, (number + 1) * seconds)
