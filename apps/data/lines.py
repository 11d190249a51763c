"""Reader of plain text: one value a line."""

from __future__ import annotations

from pathlib import Path

from apps.data.columns import Schema, quoted
from apps.data.files import check_decoded, open_text
from apps.data.raw import Raw
from apps.data.tables import has_header, read_table
from apps.errors import UserError


def read_lines(path: Path, schema: Schema) -> Raw:
    """Read a value from every line, blank ones included, so that answers stand beside the lines.

    Args:
        path: the file. Where several columns are wanted, it must be a table with a header.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first line.

    Raises:
        UserError: several columns are wanted, and the file is no table of them.
    """
    # A speaker that was named for another source does not stand in the way.
    wanted = [name for name in schema.required if schema.columns[name].required]
    if len(wanted) != 1:
        if has_header(path, schema):
            return read_table(path, schema)
        raise UserError(
            f"{path} is plain text, one value a line, where {quoted(wanted)} are wanted; "
            "give a table that names them in its first row"
        )
    values = text_lines(path)
    places = [f"{path} row {number}" for number in range(1, len(values) + 1)]
    return Raw({wanted[0]: values}, places, str(path))


def text_lines(path: Path) -> list[str]:
    """The lines of a text, blank ones included; they end at "\\n" or "\\r\\n" and nowhere else.

    Args:
        path: a file in UTF-8, gzip-compressed or not.

    Raises:
        UserError: the file cannot be read, or is no text in UTF-8.
    """
    values: list[str] = []
    with open_text(path) as stream:
        for line in stream:
            text = line.rstrip("\r\n")
            check_decoded(text, path, f"{path} row {len(values) + 1}")
            values.append(text)
    return values
