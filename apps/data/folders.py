"""Rows of a folder: one folder per class, files alone, or a corpus whose layout a kind knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.data.columns import Schema, quoted
from apps.data.files import explained
from apps.data.kind import Corpus, Files, Kind
from apps.data.raw import Raw
from apps.errors import UserError

_SPLITS = frozenset(
    "train training test testing val valid validation dev development eval evaluation".split()
)

# What archives from a Macintosh leave beside the files.
_HIDDEN = (".", "__MACOSX")


def read_folder(folder: Path, schema: Schema) -> Raw:
    """Read one value per file, labelled by the folder of the file where labels are wanted.

    Args:
        folder: holds one folder per class. Its files lie in it or, where the kind allows, in
            folders of it, such as one per speaker. Where no label is required, files may lie at any
            depth. Names that begin with a dot, and
            `__MACOSX`, are skipped.
        schema: the wanted columns. The files fill the first required one whose kind has files, the
            names of the classes the first whose kind names classes.

    Returns:
        Unchecked values in the order of the sorted paths; a place is the file's path.

    Raises:
        UserError: no column is kept in files, there are no classes, a class has no files, or a file
            cannot be read.
    """
    content = schema.first(lambda kind: kind.files is not None)
    kept = None if content is None else schema.columns[content].kind.files
    if content is None or kept is None:
        raise UserError(
            f"{folder}: none of {quoted(schema.columns)} is kept in files of its own; "
            "give a .csv file"
        )
    label = schema.first(lambda kind: kind.names_classes)
    fields: dict[str, Sequence[Any]] = {}
    if label is None or (not schema.requires(label) and not _folders(folder)):
        layout = "a folder of files"
        files = [folder] if kept.is_one(folder) else list(_below(folder, kept, None))
        if not files:
            raise UserError(f"{folder} has {_none_of(kept)}; add some")
    else:
        layout = "a folder per class"
        classes = _classes(folder, kept)
        files = [file for below in classes.values() for file in below]
        fields[label] = [name for name, below in classes.items() for _ in below]
    fields[content] = [_value(schema.columns[content].kind, file) for file in files]
    places = [str(file) for file in files]
    return _raw(fields, {name: name for name in fields}, places, str(folder), schema, layout)


def _value(kind: Kind, file: Path) -> Any:
    with explained(file):
        return kind.read_file(file)


def from_corpus(corpus: Corpus, schema: Schema) -> Raw:
    """The rows of a corpus under the application's column names.

    Raises:
        UserError: a required column is not among its fields.
    """
    found = {schema.first(asked): field for field, asked in corpus.holders.items()}
    holders = {column: field for column, field in found.items() if column is not None}
    return _raw(corpus.fields, holders, corpus.places, str(corpus.source), schema, corpus.layout)


def _raw(
    fields: Mapping[str, Sequence[Any]],
    holders: Mapping[str, str],
    places: Sequence[str],
    source: str,
    schema: Schema,
    layout: str,
) -> Raw:
    """Assign fields to columns: those of `holders` directly, since a layout does not use the names
    of a manifest, and the others by name."""
    columns: dict[str, Sequence[Any]] = {}
    for name in schema.columns:
        field = holders.get(name) or schema.find(name, fields, source)
        if field is not None and field in fields:
            columns[name] = fields[field]
    lacking = [name for name in schema.required if name not in columns]
    if lacking:
        raise UserError(f"{source}: {layout} has no {quoted(lacking)}; give a .csv file")
    return Raw(columns, places, source)


def _classes(folder: Path, kept: Files) -> dict[str, list[Path]]:
    """The files of each class, by the sorted names of the class folders."""
    layout = f"put the {kept.called} into {folder}/CLASS/*{kept.suffixes[0]}"
    folders = _folders(folder)
    if not folders:
        raise UserError(f"{folder} has no folder per class; {layout}")
    classes = {path.name: list(_below(path, kept, kept.depth)) for path in folders}
    for path in folders:
        parts = [below for below in _folders(path) if any(_below(below, kept, None))]
        is_split = path.name.casefold() in _SPLITS and not any(_below(path, kept, 0))
        if parts and (not classes[path.name] or is_split):
            raise UserError(
                f"{path} holds classes of its own ({quoted(part.name for part in parts)}); "
                f"name that folder: --data {path}"
            )
        if not classes[path.name]:
            raise UserError(f"{path} has {_none_of(kept)}; {layout}, or remove the folder")
    return classes


def _below(folder: Path, kept: Files, depth: int | None) -> Iterator[Path]:
    """Values in a folder and its folders down to a depth (None: any), sorted by path."""
    for path in _visible(folder):
        if path.suffix.lower() in kept.suffixes or (path.is_dir() and kept.is_one(path)):
            yield path
        elif path.is_dir() and depth != 0:
            yield from _below(path, kept, None if depth is None else depth - 1)


def _none_of(kept: Files) -> str:
    shown = ", ".join(kept.suffixes[:6]) + ("…" if len(kept.suffixes) > 6 else "")
    return f"no {kept.called} ({shown})"


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    with explained(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith(_HIDDEN))
