"""The one entry point for every source of data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.data.aligned import aligned_files, read_aligned
from apps.data.columns import Column, Schema
from apps.data.examples import Examples
from apps.data.files import explained, open_text
from apps.data.folders import from_corpus, read_folder
from apps.data.iterables import read_iterable
from apps.data.lines import read_lines
from apps.data.raw import Raw
from apps.data.records import read_json
from apps.data.tables import read_table
from apps.data.tfds import PREFIX, read_tfds
from apps.data.validation import validate
from apps.errors import UserError

SAMPLE = "sample"
_READERS: Mapping[str, Callable[[Path, Schema], Raw]] = {
    ".csv": read_table,
    ".tsv": read_table,
    ".tab": read_table,
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".json": read_json,
    ".txt": read_lines,
}


def read(
    source: Any,
    columns: Mapping[str, Column],
    *,
    rename: Mapping[str, str] | None = None,
    sample: Callable[[int], Examples] | None = None,
    seed: int = 0,
    optional: Collection[str] = (),
    asking: bool = False,
) -> Examples:
    """Read and check the examples of a source.

    Args:
        source: `"sample"`; a table (`.csv`, `.tsv`), JSON (`.jsonl`, `.json`) or text of one value
            a line (`.txt`), gzip-compressed or not; a folder per class, whose files hold a text, a
            recording or whatever else a kind keeps in files; a corpus whose layout a kind knows,
            such as LJSpeech's or LibriSpeech's; files with commas between that are aligned line by
            line, one for each column;
            `tfds:NAME[/config][:split]`; what `iterables.read_iterable` takes; or examples, as
            they are. Paths in a file are relative to it.
        columns: the application's column names and what each holds.
        rename: column name to its name in the source, unless they differ in case only. Folders and
            the sample have no column names and ignore it.
        sample: makes the application's built-in sample from a seed.
        seed: seed of the sample.
        optional: required columns that may be missing this time, as a label may in prediction;
            they are left out where any of their values is missing.
        asking: whether rows are questions, so that a plain text has one in each line.

    Returns:
        Each column as its kind parses it, and the place of each row (`"reviews.csv row 17"`; row 1
        is the first row of data).

    Raises:
        UserError: one line that names file, row and remedy.
    """
    if isinstance(source, Examples):
        return source
    in_python = not isinstance(source, str | Path)
    schema = Schema(columns, rename or {}, optional, in_python)
    if isinstance(source, str) and source == SAMPLE:
        if sample is None:
            raise UserError("there is no built-in sample; name a file: --data FILE")
        return sample(seed)
    if isinstance(source, str) and not source.strip():
        raise UserError("the name of the data source is empty; name a file: --data FILE")
    for column in columns.values():
        if (found := column.kind.read(source, schema.rename)) is not None:
            return found
    if isinstance(source, str) and source.startswith(PREFIX):
        return validate(read_tfds(source, schema), schema)
    if in_python:
        return validate(read_iterable(source, schema), schema)
    if isinstance(source, str) and (paths := aligned_files(source)):
        return validate(read_aligned(paths, schema), schema)
    path = Path(source).expanduser()
    raw = _read_path(path, schema, asking)
    return validate(raw, schema, None if path.is_dir() else path.parent)


def _read_path(path: Path, schema: Schema, asking: bool) -> Raw:
    """Read a file by its suffix, or a folder by what lies in it."""
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    reader = _READERS.get(suffix)
    with explained(path):
        path.stat()
        corpus = _read_corpus(path, schema, asking)
        if corpus is not None:
            return corpus
        if path.is_dir() and reader is None:
            return read_folder(path, schema)
    if reader is None:
        # Compressed tables, spreadsheets and the like have advice of their own.
        with open_text(path):
            pass
        raise UserError(
            f"{path} is none of {', '.join(_READERS)} (each also .gz); convert it, "
            "or name a folder per class"
        )
    return reader(path, schema)


def _read_corpus(path: Path, schema: Schema, asking: bool) -> Raw | None:
    """Read a corpus whose layout the kind of a column knows; None where it is not one."""
    for name, column in schema.columns.items():
        if asking and column.kind.file_is_value:
            continue

        def is_header(fields: Sequence[str], name: str = name) -> bool:
            return schema.find(name, fields, str(path)) is not None

        corpus = column.kind.corpus(path, is_header)
        if corpus is not None:
            return from_corpus(corpus, schema)
    return None
