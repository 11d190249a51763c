"""One way in for every source of data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from apps.data.columns import Column, Kind, Schema
from apps.data.examples import Examples
from apps.data.files import explained
from apps.data.folders import read_folder
from apps.data.iterables import read_iterable
from apps.data.records import read_jsonl
from apps.data.tables import read_csv, read_tsv
from apps.data.tfds import PREFIX, read_tfds
from apps.data.validation import validate
from apps.errors import UserError

SAMPLE = "sample"
_READERS: Mapping[str, Callable[[Path, Schema], Examples]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
}


def read(
    source: Any,
    columns: Mapping[str, Column],
    *,
    rename: Mapping[str, str] | None = None,
    sample: Callable[[int], Examples] | None = None,
    seed: int = 0,
    optional: Collection[str] = (),
) -> Examples:
    """Read and check the examples of a source.

    Args:
        source: `"sample"`; a `.csv`, `.tsv` or `.jsonl` file, gzip-compressed or not; a folder
            of `.txt` files or recordings per class; for recordings also the folder of a corpus laid
            out as LJSpeech or LibriSpeech; `tfds:NAME[/config][:split]`; or what
            `iterables.read_iterable` takes. Paths of recordings are relative to the file that
            names them.
        columns: the application's column names and what each holds.
        rename: column name to its name in the source; a difference in case needs none. Folders
            and the sample have no column names, so it does not concern them.
        sample: makes the application's built-in sample from a seed.
        seed: seed of the sample.
        optional: required columns that may be missing this time, as a label may in prediction;
            they are left out where any of their values is missing.

    Returns:
        Texts as `str` (a missing one as `""`), labels and groups as stripped, non-empty `str`,
        recordings as `audio.Clip`, and for each row its place (`"reviews.csv row 17"`; row 1 is
        the first row of data).

    Raises:
        UserError: one line that names file, row and remedy.
    """
    in_python = not isinstance(source, str | Path)
    schema = Schema(columns, rename or {}, optional, in_python)
    if isinstance(source, str) and source == SAMPLE:
        if sample is None:
            raise UserError("there is no built-in sample; name a file: --data FILE")
        return sample(seed)
    if isinstance(source, str) and not source.strip():
        raise UserError("the name of the data source is empty; name a file: --data FILE")
    if isinstance(source, str) and source.startswith(PREFIX):
        return validate(read_tfds(source, schema), schema)
    if in_python:
        return validate(read_iterable(source, schema), schema)
    path = Path(source).expanduser()
    raw = _read_path(path, schema)
    return validate(raw, schema, None if path.is_dir() else path.parent)


def _read_path(path: Path, schema: Schema) -> Examples:
    """Read a file by its suffix, or a folder by what lies in it."""
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    reader = _READERS.get(suffix)
    with explained(path):
        path.stat()
        if schema.first(Kind.AUDIO) is not None and (reader is not None or path.is_dir()):
            corpus = _read_speech(path, schema)
            if corpus is not None:
                return corpus
        if path.is_dir() and reader is None:
            return read_folder(path, schema)
    if reader is None:
        raise UserError(
            f"{path} is none of {', '.join(_READERS)} (each also .gz); convert it, "
            "or name a folder per class"
        )
    return reader(path, schema)


def _read_speech(path: Path, schema: Schema) -> Examples | None:
    """Read recordings that no table names by its columns; None where a table does."""
    from apps.data.audio_folders import read_audio_folder
    from apps.data.speech_layouts import (
        find_librispeech,
        find_ljspeech,
        read_librispeech,
        read_ljspeech,
    )

    metadata = find_ljspeech(path, schema)
    if metadata is not None:
        return read_ljspeech(metadata, schema)
    if not path.is_dir():
        return None
    transcripts = find_librispeech(path)
    if transcripts:
        return read_librispeech(path, transcripts, schema)
    return read_audio_folder(path, schema)
