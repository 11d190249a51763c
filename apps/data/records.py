"""Records, each with its own keys: `.jsonl` files, lists of dictionaries and the like."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from apps.data.columns import Kind, Schema
from apps.data.examples import Examples
from apps.data.files import check_decoded, open_text
from apps.errors import UserError

# NeMo's name for where a row begins in its recording, which would not fit the row's transcript.
_OFFSET = "offset"


def read_jsonl(path: Path, schema: Schema) -> Examples:
    """Read one JSON object a line; blank lines are skipped and not counted.

    Args:
        path: the file.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first object.

    Raises:
        UserError: a line is not a JSON object, or lacks a wanted column.
    """
    with open_text(path) as stream:
        return from_records(_objects(stream, path), schema, str(path))


def _objects(lines: Iterable[str], path: Path) -> Iterator[Mapping[str, Any]]:
    row = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row += 1
        check_decoded(line, path, f"{path} row {row}")
        place = f"{path} row {row} (line {number})"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{place} is not valid JSON ({error}); write one object a line"
            ) from None
        if not isinstance(record, dict):
            raise UserError(
                f"{place} is a JSON {type(record).__name__}, not an object; "
                'write one object a line: {"…": …}'
            )
        yield record


def from_records(records: Iterable[Mapping[str, Any]], schema: Schema, source: str) -> Examples:
    """Take the wanted columns from records.

    Args:
        records: field name to value, one mapping a row.
        schema: the wanted columns.
        source: what is being read, for messages.

    Returns:
        Unchecked values; a column that no record has is left out, and where only some lack
        an optional one its value is None there.

    Raises:
        UserError: a record lacks a wanted column, or is of a part of a recording.
    """
    values: dict[str, list[Any]] = {column: [] for column in schema.columns}
    present = dict.fromkeys(schema.columns, False)
    places: list[str] = []
    audio = schema.first(Kind.AUDIO) is not None
    for record in records:
        place = f"{source} row {len(places) + 1}"
        offset = record.get(_OFFSET) if audio else None
        if isinstance(offset, int | float) and offset > 0:
            raise UserError(
                f"{place} is a part of a recording, from {_OFFSET} {offset} s on, and only whole "
                "ones are read; cut them into a file for each row"
            )
        # Most records of a source spell their keys alike, so the exact name is tried first.
        for column, cells in values.items():
            field: str | None = schema.rename.get(column, column)
            if field not in record:
                field = schema.find(column, record, place)
            if field is not None:
                present[column] = True
            elif schema.requires(column):
                raise schema.missing(column, record, place)
            cells.append(None if field is None else record[field])
        places.append(place)
    columns = {column: cells for column, cells in values.items() if present[column]}
    return Examples(columns, places, source)
