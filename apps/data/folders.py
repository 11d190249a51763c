"""Reader of a folder per class: `folder/CLASS/*.txt`."""

from __future__ import annotations

from pathlib import Path

from apps.data.columns import Kind, Schema, quoted
from apps.data.examples import Examples
from apps.data.files import check_decoded, explained, open_text
from apps.errors import UserError

_SUFFIX = ".txt"


def read_folder(folder: Path, schema: Schema) -> Examples:
    """Read one text a file, labelled by the folder it lies in.

    Args:
        folder: holds one folder per class; names that begin with a dot are passed over.
        schema: the wanted columns; the texts fill its text column, the classes its label.

    Returns:
        Unchecked values in the order of the sorted paths; a place is the file's path.

    Raises:
        UserError: there are no classes, a class has no texts, or a text cannot be read.
    """
    text, label = schema.first(Kind.TEXT), schema.first(Kind.LABEL)
    lacking = [name for name in schema.required if name not in (text, label)]
    if lacking:
        raise UserError(f"{folder}: a folder per class has no {quoted(lacking)}; give a .csv file")

    texts: list[str] = []
    labels: list[str] = []
    places: list[str] = []
    for class_folder in _classes(folder):
        for file in _texts(class_folder):
            with open_text(file) as stream:
                content = stream.read()
            check_decoded(content, file, str(file))
            texts.append(content)
            labels.append(class_folder.name)
            places.append(str(file))
    columns = {name: values for name, values in ((text, texts), (label, labels)) if name}
    return Examples(columns, places, str(folder))


def _classes(folder: Path) -> list[Path]:
    """The class folders, sorted by name; each is known to hold texts."""
    layout = f"put the texts into {folder}/CLASS/*{_SUFFIX}"
    classes = [path for path in _visible(folder) if path.is_dir()]
    if not classes:
        raise UserError(f"{folder} has no folder per class; {layout}")
    without = [path for path in classes if not _texts(path)]
    for path in without:
        deeper = [child for child in _visible(path) if child.is_dir() and _texts(child)]
        if deeper:
            raise UserError(
                f"{path} holds classes of its own ({quoted(child.name for child in deeper)}); "
                f"name that folder: --data {path}"
            )
    if without:
        raise UserError(f"{without[0]} has no {_SUFFIX} file; {layout}, or remove the folder")
    return classes


def _texts(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.suffix.lower() == _SUFFIX]


def _visible(folder: Path) -> list[Path]:
    with explained(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
