"""Readers of folders of recordings: one folder per class, or recordings alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.data.columns import Kind, Schema, quoted
from apps.data.examples import Examples
from apps.data.files import explained
from apps.errors import UserError

# By these a recording is told from what else lies in a folder; how it is decoded, its content says.
SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"),
    *(".sph", ".m4a", ".aac", ".wma", ".amr", ".webm"),
)
_SPLITS = frozenset(
    "train training test testing val valid validation dev development eval evaluation".split()
)
_FIELD_OF_KIND = {Kind.AUDIO: "audio", Kind.TEXT: "transcript", Kind.LABEL: "label"}


def read_audio_folder(folder: Path, schema: Schema) -> Examples:
    """Read recordings, labelled by the folder they lie in where labels are wanted.

    Args:
        folder: holds one folder per class, whose recordings lie in it or in folders of it, one
            for each speaker say; where no label is required, recordings at any depth will do.
            Names that begin with a dot are passed over.
        schema: the wanted columns; the recordings fill its audio column, the classes its label.

    Returns:
        Unchecked values in the order of the sorted paths; a place is the file's path.

    Raises:
        UserError: there are no classes, or a class has no recordings.
    """
    label = schema.first(Kind.LABEL)
    if label is None or (not schema.requires(label) and not _folders(folder)):
        files = list(_below(folder, None))
        if not files:
            raise UserError(f"{folder} holds no audio file ({', '.join(SUFFIXES[:6])}…); add some")
        alone: dict[str, Sequence[Any]] = {"audio": files}
        return in_columns(alone, [str(file) for file in files], folder, schema, "a folder of files")
    audio: list[Path] = []
    labels: list[str] = []
    for name, files in _classes(folder).items():
        audio += files
        labels += [name] * len(files)
    places = [str(file) for file in audio]
    fields: dict[str, Sequence[Any]] = {"audio": audio, "label": labels}
    return in_columns(fields, places, folder, schema, "a folder per class")


def in_columns(
    fields: Mapping[str, Sequence[Any]],
    places: Sequence[str],
    source: Path,
    schema: Schema,
    layout: str,
) -> Examples:
    """What a layout holds, under the application's column names.

    Args:
        fields: values of `audio`, `transcript`, `label`, `speaker`, as far as the layout has them.
        places: where each row stands.
        source: the folder or file.
        schema: the wanted columns; found by name, else by what they hold, since the names of a
            manifest do not concern a layout.
        layout: what to call it in a message.

    Raises:
        UserError: a required column is not among them.
    """
    columns: dict[str, Sequence[Any]] = {}
    for name, column in schema.columns.items():
        field = schema.find(name, fields, str(source))
        if field is None and name == schema.first(column.kind):
            field = _FIELD_OF_KIND.get(column.kind)
        if field is not None and field in fields:
            columns[name] = fields[field]
    lacking = [name for name in schema.required if name not in columns]
    if lacking:
        raise UserError(f"{source}: {layout} has no {quoted(lacking)}; give a .csv file")
    return Examples(columns, places, str(source))


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The recordings of each class, by the sorted names of the class folders."""
    layout = f"put the recordings into {folder}/CLASS/*.wav"
    folders = _folders(folder)
    if not folders:
        raise UserError(f"{folder} has no folder per class; {layout}")
    classes = {path.name: list(_below(path, 1)) for path in folders}
    for path in folders:
        parts = [below for below in _folders(path) if any(_below(below, None))]
        if parts and (
            not classes[path.name] or (path.name.casefold() in _SPLITS and not any(_below(path, 0)))
        ):
            raise UserError(
                f"{path} holds classes of its own ({quoted(part.name for part in parts)}); "
                f"name that folder: --data {path}"
            )
        if not classes[path.name]:
            raise UserError(f"{path} has no audio file; {layout}, or remove the folder")
    return classes


def _below(folder: Path, depth: int | None) -> Iterator[Path]:
    """Recordings in a folder and in folders of it down to a depth, sorted by path."""
    for path in _visible(folder):
        if path.is_dir():
            if depth is None or depth > 0:
                yield from _below(path, None if depth is None else depth - 1)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    with explained(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
