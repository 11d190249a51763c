"""Records, each with its own keys: `.jsonl` files, lists of dictionaries and the like."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from apps.data.columns import Schema
from apps.data.files import check_decoded, open_text
from apps.data.raw import Raw
from apps.errors import UserError


def read_jsonl(path: Path, schema: Schema) -> Raw:
    """Read one JSON object per line; blank lines are skipped and not counted.

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
            record = json.loads(line, object_pairs_hook=_Object)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{place} is not valid JSON ({error}); write one object a line"
            ) from None
        if not isinstance(record, dict):
            raise UserError(
                f"{place} is a JSON {type(record).__name__}, not an object; "
                'write one object a line: {"…": …}'
            )
        if isinstance(record, _Object) and record.twice:
            raise UserError(f"{place}: the key '{record.twice}' is there twice; rename one of them")
        yield record


class _Object(dict[str, Any]):
    """A JSON object that remembers a key that was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: str | None = None
        if len(self) != len(pairs):
            times = Counter(key for key, _ in pairs)
            self.twice = next(key for key in times if times[key] > 1)


def from_records(records: Iterable[Mapping[str, Any]], schema: Schema, source: str) -> Raw:
    """Take the wanted columns from records.

    Args:
        records: field name to value, one mapping per row.
        schema: the wanted columns.
        source: what is being read, for messages.

    Returns:
        Unchecked values. A column that no record has is left out; an optional column that only some
        records lack is None there.

    Raises:
        UserError: a record lacks a wanted column.
    """
    values: dict[str, list[Any]] = {column: [] for column in schema.columns}
    present = dict.fromkeys(schema.columns, False)
    places: list[str] = []
    beside: dict[str, list[Any]] = {}
    # Records share most of their keys, so the answer for each key is kept.
    seen: dict[str, bool] = {}
    for record in records:
        place = f"{source} row {len(places) + 1}"
        taken: set[str] = set()
        # Most records of a source spell their keys alike, so the exact name is tried first.
        for column, cells in values.items():
            field: str | None = schema.rename.get(column, column)
            if field not in record:
                field = schema.find(column, record, place)
            if field is not None:
                present[column] = True
                taken.add(field)
            elif schema.requires(column):
                raise schema.missing(column, record, place)
            cells.append(None if field is None else record[field])
        for field in record:
            if field not in seen:
                seen[field] = bool(schema.beside([field], ()))
            if seen[field] and field not in taken:
                beside.setdefault(field, [None] * len(places)).append(record[field])
        places.append(place)
        for cells in beside.values():
            cells.extend([None] * (len(places) - len(cells)))
    columns = {column: cells for column, cells in values.items() if present[column]}
    return Raw(columns, places, source, beside)
