"""One way in for every source of data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from apps.data.columns import Column, Schema
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
            with a folder of `.txt` files per class; `tfds:NAME[/config][:split]`; or what
            `iterables.read_iterable` takes.
        columns: the application's column names and what each holds.
        rename: column name to its name in the source; a difference in case needs none. Folders
            and the sample have no column names, so it does not concern them.
        sample: makes the application's built-in sample from a seed.
        seed: seed of the sample.
        optional: required columns that may be missing this time, as a label may in prediction;
            they are left out where any of their values is missing.

    Returns:
        Texts as `str` (a missing one as `""`), labels and groups as stripped, non-empty `str`,
        and for each row its place (`"reviews.csv row 17"`; row 1 is the first row of data).

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
        raw = read_tfds(source, schema)
    elif in_python:
        raw = read_iterable(source, schema)
    else:
        raw = _read_path(Path(source).expanduser(), schema)
    return validate(raw, schema)


def _read_path(path: Path, schema: Schema) -> Examples:
    """Read a file by its suffix, or a folder per class."""
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    reader = _READERS.get(suffix)
    with explained(path):
        path.stat()
        if path.is_dir() and reader is None:
            return read_folder(path, schema)
    if reader is None:
        raise UserError(
            f"{path} is none of {', '.join(_READERS)} (each also .gz); convert it, "
            "or name a folder per class"
        )
    return reader(path, schema)
