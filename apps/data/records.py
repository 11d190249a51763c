"""Records, each with its own keys: JSON files, lists of dictionaries and the like."""

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


def read_json(path: Path, schema: Schema) -> Raw:
    """Read one JSON object per line, or a document that is a table.

    Args:
        path: the file, which `read_objects` takes.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first object.

    Raises:
        UserError: it is not such JSON, or a row lacks a wanted column.
    """
    return from_records(read_objects(path), schema, str(path))


def read_objects(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a JSON file, each an object.

    Args:
        path: the file. Of lines, blank ones are skipped and not counted. A document is an array of
            objects, alone or in an object that has nothing else, or an object of columns, which are
            arrays or, as pandas writes them, objects.

    Raises:
        UserError: it is not such JSON.
    """
    with open_text(path) as stream:
        lines = (line for line in stream if line.strip())
        first, second = next(lines, ""), next(lines, None)
    alone = _parsed(first)
    if first and (alone is None or isinstance(alone, list) or second is None):
        with open_text(path) as stream:
            content = stream.read()
        rows = _document(content, path)
        if rows is not None:
            yield from _checked(rows, path)
            return
    with open_text(path) as stream:
        yield from _objects(stream, path)


def _parsed(text: str) -> Any:
    """The value of a JSON text, None where it is not valid."""
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        return None


def _document(content: str, path: Path) -> list[Any] | None:
    """The rows of a JSON document; None where it is not one."""
    if content.lstrip().startswith("["):
        check_decoded(content, path, str(path))
        try:
            return json.loads(content, object_pairs_hook=_Object)
        except (ValueError, RecursionError) as error:
            # The lines may be arrays of their own, of which the reader of lines tells.
            if _parsed(content.lstrip().split("\n", 1)[0]) is not None:
                return None
            raise UserError(f"{path} is not valid JSON ({error}); correct it there") from None
    value = _parsed(content)
    if not isinstance(value, dict):
        return None
    check_decoded(content, path, f"{path} row 1")
    inner = list(value.values())
    if len(inner) == 1 and _all(dict, inner[0]):
        return inner[0]
    if _all(dict, inner):
        keys = list(inner[0])
        if keys and all(list(cells) == keys for cells in inner):
            return [{name: cells[key] for name, cells in value.items()} for key in keys]
    if _all(list, inner) and len({len(cells) for cells in inner}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
    return [value]


def _all(kind: type, values: Any) -> bool:
    """Whether it is a list of at least one value, all of a type."""
    return isinstance(values, list) and bool(values) and all(isinstance(v, kind) for v in values)


def _checked(rows: Iterable[Any], path: Path) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(rows, 1):
        yield _checked_object(row, f"{path} row {number}")


def _checked_object(record: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise UserError(
            f"{place} is a JSON {type(record).__name__}, not an object; "
            'write one object a line: {"…": …}'
        )
    if isinstance(record, _Object) and record.twice:
        raise UserError(f"{place}: the key '{record.twice}' is there twice; rename one of them")
    return record


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
        yield _checked_object(record, place)


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
