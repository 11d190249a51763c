"""A clip: a video, a folder of images, or joints over time."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from apps.data.columns import Column
from apps.data.content import Update
from apps.data.kind import Collector, Corpus, Files, Kind
from apps.data.raw import RawColumn
from apps.data.videos.column import is_clip, read_videos
from apps.data.videos.corpora import find_corpus
from apps.data.videos.held import HeldVideos
from apps.data.videos.pose import SUFFIX as POSE_SUFFIX
from apps.data.videos.pose import Pose
from apps.data.videos.stills import images_of
from apps.data.videos.video import Video

# These tell clips from the other files of a folder; the content decides how one is read.
SUFFIXES = (
    *(".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif", ".mjpeg", ".mjpg", ".m4v", ".mpg"),
    *(".mpeg", ".wmv", ".flv", ".ts", ".m2ts", ".3gp", ".ogv", ".asf", POSE_SUFFIX),
)


def video(*, required: bool = True) -> Column:
    """A column of clips: paths of files or of folders of images, or frames with their rate."""
    return Column(Footage(), required)


@dataclass(frozen=True)
class Footage(Kind):
    """A clip; values are `Video`, or `Pose` throughout, and rows that name one file share it."""

    # What manifests of Kinetics, Hugging Face, PyTorch Video and TFDS call a clip.
    aliases: ClassVar[tuple[str, ...]] = (
        *("clip", "path", "file", "filename", "file_name", "video_path", "filepath", "file_path"),
        *("video_name", "clip_path", "clip_name", "video_file", "pose"),
    )
    files: ClassVar[Files] = Files(
        SUFFIXES, "clips", depth=1, is_one=lambda folder: bool(images_of(folder))
    )
    by_path: ClassVar[bool] = True
    slow: ClassVar[bool] = True

    def parse(self, column: RawColumn) -> Sequence[Video | Pose | None]:
        return read_videos(column)

    def is_value(self, value: Any) -> bool:
        return is_clip(value) or super().is_value(value)

    def place(self, value: Any) -> str | None:
        """The path, since a user who names files knows no row numbers."""
        return (str(value) if isinstance(value, str | os.PathLike) else "").strip() or None

    def read_file(self, path: Path) -> Path:
        return path

    def corpus(self, path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
        """UCF-101's lists or HMDB-51's."""
        found = find_corpus(path)
        if found is None:
            return None
        return dataclasses.replace(
            found,
            holders={
                "video": lambda kind: isinstance(kind, Footage),
                "label": lambda kind: kind.names_classes,
                "group": lambda kind: kind.keeps_rows_together,
            },
        )

    def tfds(self, feature: Any) -> Collector:
        """A collector that makes clips of frames; paths and bytes of files stay as they are."""
        import tensorflow_datasets as tfds

        is_array = isinstance(feature, tfds.features.Tensor) and len(feature.shape) == 4
        return HeldVideos() if is_array or isinstance(feature, tfds.features.Video) else Collector()

    def digest(self, value: Video | Pose, update: Update) -> None:
        """Feed the digest of the content, not the path."""
        update(value.digest.encode())
