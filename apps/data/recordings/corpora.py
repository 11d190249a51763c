"""Readers of transcribed speech in the layouts of LJSpeech and LibriSpeech."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from apps import environment
from apps.data.files import check_decoded, explained, open_text
from apps.data.kind import Corpus
from apps.data.recordings.decoding import SUFFIXES
from apps.errors import UserError

_METADATA = "metadata.csv"
_WAVS = "wavs"
_TRANSCRIPTS = ".trans.txt"


def find_corpus(path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
    """Read a corpus of either layout.

    Args:
        path: a folder, or a file with the suffix of a table.
        is_header: whether some fields are those of a header, which name the recordings.

    Returns:
        Unchecked values of `audio`, `transcript` and, if the layout has it, `speaker`; None where
        it is not such a corpus.

    Raises:
        UserError: a row is malformed.
    """
    metadata = _find_ljspeech(path, is_header)
    if metadata is not None:
        return _read_ljspeech(metadata)
    transcripts = _find_librispeech(path)
    return _read_librispeech(path, transcripts) if transcripts else None


def _find_ljspeech(path: Path, is_header: Callable[[Sequence[str]], bool]) -> Path | None:
    """The metadata of a corpus in LJSpeech's layout, None where it is another layout.

    It is `metadata.csv` beside a folder `wavs/`, or another file there that the user named. Its
    first line has two or three fields between bars and is not a header.
    """
    metadata = path / _METADATA if path.is_dir() else path
    if not metadata.is_file() or not (metadata.parent / _WAVS).is_dir():
        return None
    with open_text(metadata) as lines:
        fields = next((line.strip().split("|") for line in lines if line.strip()), [])
    return metadata if len(fields) in (2, 3) and not is_header(fields) else None


def _read_ljspeech(metadata: Path) -> Corpus:
    """Read rows `ID|text|normalised text` or `ID|text`; the recording is `wavs/ID.wav`.

    There is no header, quotes are plain characters, and the normalised text is used where there is
    one. Corpora of this layout put other things there too, such as seconds or phonemes.
    """
    wavs = _Recordings(metadata.parent / _WAVS)
    audio: list[Path] = []
    texts_of: list[list[str]] = []
    places: list[str] = []
    for line, text, place in _lines(metadata):
        identity, *texts = text.split("|")
        if len(texts) not in (1, 2):
            raise UserError(
                f"{place} (line {line}) has {len(texts) + 1} fields between bars; "
                "write ID|text|normalised text"
            )
        audio.append(wavs[identity.strip()])
        texts_of.append(texts)
        places.append(place)
    transcripts = [texts[-1] if texts[-1].strip() else texts[0] for texts in texts_of]
    thirds = [texts for texts in texts_of if len(texts) > 1 and texts[1].strip()]
    if thirds and not _alike(thirds):
        text, other = (field.strip()[:40] for field in thirds[0])
        environment.say(
            f"{metadata}: the third field is no normalised text of the second, such as '{other}' "
            f"beside '{text}'; the second is used"
        )
        transcripts = [texts[0] for texts in texts_of]
    fields: dict[str, Sequence[Any]] = {"audio": audio, "transcript": transcripts}
    return Corpus(fields, places, metadata, "LJSpeech's layout")


def _alike(pairs: Sequence[Sequence[str]]) -> bool:
    """Whether the second texts are the first ones, normalised: they share most of their words.

    Numbers and abbreviations are spelt out, so that a pair alone says little.
    """
    shared = total = 0
    for text, normalised in pairs:
        # A text without spaces is of a script that has none.
        words = [_units(one, " " in text.strip()) for one in (text, normalised)]
        shared += len(words[0] & words[1])
        total += len(words[0])
    if not total:
        return any(letter.isalpha() for _, normalised in pairs for letter in normalised)
    return 2 * shared >= total


def _units(text: str, words: bool) -> set[str]:
    """Words or characters of letters alone, in one case."""
    kept = "".join(c if c.isalpha() or unicodedata.combining(c) else " " for c in text.casefold())
    return set(kept.split()) if words else set(kept.replace(" ", ""))


def _find_librispeech(folder: Path) -> list[Path]:
    """The files `*.trans.txt` anywhere under a folder, sorted; none where it is another layout."""
    if not folder.is_dir():
        return []
    with explained(folder):
        return sorted(folder.rglob(f"*{_TRANSCRIPTS}"))


def _read_librispeech(folder: Path, transcripts: Sequence[Path]) -> Corpus:
    """Read rows `ID text`; the recording `ID.flac`, or another format, lies beside the file.

    The files are `SPEAKER-CHAPTER.trans.txt`; the speaker is what comes before the dash, or, in a
    name without a dash, the folder. Row 1 is the first of its file.
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
    return Corpus(fields, places, folder, "LibriSpeech's layout")


class _Recordings:
    """The audio files of a folder by their names without suffix."""

    def __init__(self, folder: Path, missing: str = ".wav") -> None:
        self._folder, self._missing = folder, missing
        with explained(folder):
            self._names = {
                unicodedata.normalize("NFC", path.stem): path
                for path in sorted(folder.iterdir(), reverse=True)
                if path.suffix.lower() in SUFFIXES
            }

    def __getitem__(self, identity: str) -> Path:
        """The file of an ID with or without suffix; the expected path if it is missing."""
        whole = self._folder / identity
        has_suffix = whole.suffix.lower() in SUFFIXES
        if has_suffix and whole.exists():
            return whole
        name = unicodedata.normalize("NFC", whole.stem if has_suffix else identity)
        missing = whole if has_suffix else self._folder / f"{identity}{self._missing}"
        return self._names.get(name, missing)


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """The lines that are not blank, as (number, text, place)."""
    row = 0
    with open_text(path) as stream:
        for number, line in enumerate(stream, 1):
            text = line.strip()
            if text:
                row += 1
                place = f"{path} row {row}"
                check_decoded(text, path, place)
                yield number, text, place
