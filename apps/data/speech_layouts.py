"""Readers of transcribed speech as corpora lay it out: LJSpeech and LibriSpeech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apps.data.audio_folders import SUFFIXES, in_columns
from apps.data.columns import Kind, Schema
from apps.data.examples import Examples
from apps.data.files import check_decoded, explained, open_text
from apps.errors import UserError

_METADATA = "metadata.csv"
_WAVS = "wavs"
_TRANSCRIPTS = ".trans.txt"


def find_ljspeech(path: Path, schema: Schema) -> Path | None:
    """The metadata of a corpus laid out as LJSpeech.

    Args:
        path: a folder that holds `metadata.csv` and `wavs/`, or a file beside a folder `wavs/`
            whose first line has two or three fields between bars, none of them naming the audio.
        schema: the wanted columns, audio among them.

    Returns:
        The file of metadata, or None where it is no such corpus.
    """
    metadata = path / _METADATA if path.is_dir() else path
    audio = schema.first(Kind.AUDIO)
    if audio is None or not metadata.is_file() or not (metadata.parent / _WAVS).is_dir():
        return None
    with open_text(metadata) as lines:
        fields = next((line.strip().split("|") for line in lines if line.strip()), [])
    header = schema.find(audio, fields, str(metadata))
    return metadata if len(fields) in (2, 3) and header is None else None


def read_ljspeech(metadata: Path, schema: Schema) -> Examples:
    """Read rows `ID|text|normalised text` or `ID|text`; the recording is `wavs/ID.wav`.

    Args:
        metadata: the file; it has no header, and quotes are plain characters.
        schema: the wanted columns.

    Returns:
        Unchecked values: the normalised text where there is one. Row 1 is the first row.

    Raises:
        UserError: a row has another number of fields, or a wanted column is none of these.
    """
    wavs = _Recordings(metadata.parent / _WAVS)
    audio: list[Path] = []
    transcripts: list[str] = []
    places: list[str] = []
    for line, text, place in _lines(metadata):
        identity, *texts = text.split("|")
        if len(texts) not in (1, 2):
            raise UserError(
                f"{place} (line {line}) has {len(texts) + 1} fields between bars; "
                "write ID|text|normalised text"
            )
        audio.append(wavs[identity.strip()])
        transcripts.append(texts[-1] if texts[-1].strip() else texts[0])
        places.append(place)
    fields: dict[str, Sequence[Any]] = {"audio": audio, "transcript": transcripts}
    return in_columns(fields, places, metadata, schema, "LJSpeech's layout")


def find_librispeech(folder: Path) -> list[Path]:
    """The files `*.trans.txt` anywhere under a folder, sorted; none where it is another layout."""
    with explained(folder):
        return sorted(folder.rglob(f"*{_TRANSCRIPTS}"))


def read_librispeech(folder: Path, transcripts: Sequence[Path], schema: Schema) -> Examples:
    """Read rows `ID text`; the recording `ID.flac`, or another format, lies beside the file.

    Args:
        folder: what the user named.
        transcripts: the files `SPEAKER-CHAPTER.trans.txt` in it, in their order. The speaker is
            what comes before the dash, or the folder of a file whose name has none.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first of its file.

    Raises:
        UserError: a row is malformed, or a wanted column is not there.
    """
    fields: dict[str, list] = {"audio": [], "transcript": [], "speaker": []}
    places: list[str] = []
    for file in transcripts:
        beside = _Recordings(file.parent, missing=".flac")
        speaker, dash, _ = file.name.removesuffix(_TRANSCRIPTS).partition("-")
        for _, text, place in _lines(file):
            identity, _, words = text.partition(" ")
            fields["audio"].append(beside[identity])
            fields["transcript"].append(words.strip())
            fields["speaker"].append(speaker if dash else file.parent.name)
            places.append(place)
    return in_columns(fields, places, folder, schema, "LibriSpeech's layout")


class _Recordings:
    """The audio files of a folder by their names without suffix."""

    def __init__(self, folder: Path, missing: str = ".wav") -> None:
        self._folder, self._missing = folder, missing
        with explained(folder):
            self._names = {
                path.stem: path
                for path in sorted(folder.iterdir(), reverse=True)
                if path.suffix.lower() in SUFFIXES
            }

    def __getitem__(self, identity: str) -> Path:
        """The file of an ID with or without suffix; one that is missing by its expected name."""
        whole = self._folder / identity
        if whole.suffix.lower() in SUFFIXES:
            return whole
        return self._names.get(identity, self._folder / f"{identity}{self._missing}")


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Lines that are not blank, each with its number before it and its place after it."""
    row = 0
    with open_text(path) as stream:
        for number, line in enumerate(stream, 1):
            text = line.strip()
            if text:
                row += 1
                place = f"{path} row {row}"
                check_decoded(text, path, place)
                yield number, text, place
