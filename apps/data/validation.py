"""The checks that all rows pass, whatever reader they came through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.data.columns import Schema
from apps.data.examples import Examples
from apps.data.raw import Raw, RawColumn
from apps.errors import UserError


def validate(raw: Raw, schema: Schema, folder: Path | None = None) -> Examples:
    """Check the values of every column and convert them as its kind does.

    Args:
        raw: values as a reader found them, under the application's column names.
        schema: the wanted columns; an optional one is dropped when any of its values is missing.
        folder: where relative paths in the rows start; the process's own folder if None.

    Returns:
        What `Kind.parse` makes of each column.

    Raises:
        UserError: there are no rows, or a value is missing or refused by its kind.
    """
    if not len(raw.places):
        raise UserError(f"{raw.source} has no rows; give at least one")
    checked: dict[str, Sequence[Any]] = {}
    present = [name for name in schema.columns if name in raw.columns]
    for name in sorted(present, key=lambda name: schema.columns[name].kind.slow):
        column = schema.columns[name]
        limit = column.kind.limit_bytes if column.limit_bytes is None else column.limit_bytes
        values = column.kind.parse(
            RawColumn(
                name,
                raw.columns[name],
                raw.places,
                raw.source,
                folder,
                limit,
                schema.naming(name),
                raw.beside,
            )
        )
        absent = [row for row, value in enumerate(values) if value is None]
        if not absent:
            checked[name] = values
        elif name not in schema.optional:
            raise UserError(
                f"{raw.places[absent[0]]}: the {name} is empty "
                f"({len(absent)} of {len(values)} rows); fill it in or remove the row"
            )
    columns = {name: checked[name] for name in present if name in checked}
    return Examples(columns, raw.places, raw.source)
