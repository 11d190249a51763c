"""A recording."""

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
from apps.data.kinds.text import Text
from apps.data.raw import RawColumn
from apps.data.recordings.clip import Clip, ClipSpool
from apps.data.recordings.column import is_recording, read_clips
from apps.data.recordings.corpora import find_corpus
from apps.data.recordings.decoding import SUFFIXES
from apps.data.recordings.parts import cut, field_of

# The rate of LibriSpeech and Speech Commands, whose features do not all state it.
_DEFAULT_RATE = 16_000


def audio(*, required: bool = True) -> Column:
    """A column of recordings: paths of files, or samples with their rate."""
    return Column(Audio(), required)


@dataclass(frozen=True)
class Audio(Kind):
    """A recording; values are `Clip`, and rows that name one file share it."""

    # What manifests of NeMo, Common Voice, Hugging Face and TFDS call a recording.
    aliases: ClassVar[tuple[str, ...]] = (
        *("audio_filepath", "path", "file", "filename", "wav", "speech"),
    )
    files: ClassVar[Files] = Files(SUFFIXES, "recordings", depth=1)
    by_path: ClassVar[bool] = True
    slow: ClassVar[bool] = True

    def parse(self, column: RawColumn) -> Sequence[Clip | None]:
        return cut(column, read_clips(column))

    def sees(self, field: str) -> bool:
        """Fields that say where a part of a recording begins or ends."""
        return field_of(field) is not None

    def is_value(self, value: Any) -> bool:
        return is_recording(value) or super().is_value(value)

    def place(self, value: Any) -> str | None:
        """The path, since a user who names files knows no row numbers."""
        return (str(value) if isinstance(value, str | os.PathLike) else "").strip() or None

    def read_file(self, path: Path) -> Path:
        return path

    def corpus(self, path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
        """LJSpeech's layout or LibriSpeech's."""
        found = find_corpus(path, is_header)
        if found is None:
            return None
        return dataclasses.replace(
            found,
            holders={
                "audio": lambda kind: isinstance(kind, Audio),
                "transcript": lambda kind: isinstance(kind, Text),
            },
        )

    def tfds(self, feature: Any) -> Collector:
        """A collector that makes clips of samples; paths and bytes of files stay as they are."""
        import tensorflow_datasets as tfds

        if isinstance(feature, tfds.features.Tensor) and feature.np_dtype.kind in "iuf":
            return _Samples(getattr(feature, "sample_rate", None) or _DEFAULT_RATE)
        return Collector()

    def digest(self, value: Clip, update: Update) -> None:
        """Feed samples and rate, not the path."""
        update(value.digest.encode())


class _Samples(Collector):
    """Makes a clip of each row's samples at once, since TFDS gives int64, four times the memory."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._clips = ClipSpool()

    def add(self, value: Any) -> None:
        self._clips.append(Clip.of(value, self._rate))

    def values(self) -> Sequence[Clip]:
        return self._clips.finish()
