"""Readers of what Python code passes in: lists, columns, data frames, generators, tf.data."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apps.data.columns import Schema, quoted
from apps.data.raw import Raw
from apps.data.records import from_records
from apps.errors import UserError

_END = object()


def read_iterable(source: Any, schema: Schema) -> Raw:
    """Read rows or columns that are in memory, or that an iterator makes.

    Args:
        source: an iterable of dictionaries, or of tuples in the order of the schema's columns
            (the last ones may be left out where they are not required), or of plain values where
            one column is all that is required; a dictionary of columns; a pandas DataFrame; an
            unbatched tf.data.Dataset. A recording is a path, a clip, `(array, rate)` or a
            dictionary of `array` and `sampling_rate`.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first. A row that is nothing but a path has that path as its
        place.

    Raises:
        UserError: the source is none of these, is batched, or lacks a wanted column.
    """
    return _placed(_raw(source, schema), schema)


def _raw(source: Any, schema: Schema) -> Raw:
    name = type(source).__name__
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return _from_frame(source, schema)
    if isinstance(source, Mapping):
        return _from_columns(list(source), list(source.values()), schema, name)
    if hasattr(source, "as_numpy_iterator"):
        return _from_tf_data(source, schema)
    if isinstance(source, bytes) or not isinstance(source, Iterable):
        raise UserError(
            f"data of type {name} cannot be read; pass a path, a list of dictionaries, "
            "a dictionary of columns, a DataFrame or a tf.data.Dataset"
        )
    return _from_rows(source, schema, name)


def _from_frame(frame: Any, schema: Schema) -> Raw:
    columns = [frame.iloc[:, i].tolist() for i in range(len(frame.columns))]
    return _from_columns(list(frame.columns), columns, schema, "DataFrame")


def _from_columns(
    names: Sequence[object], columns: Sequence[Any], schema: Schema, source: str
) -> Raw:
    fields = [str(name) for name in names]
    found = schema.match(fields, source)
    values: dict[str, Sequence[Any]] = {}
    for field in found.values():
        cells = columns[fields.index(field)]
        if not _is_column(cells):
            raise UserError(
                f"{source}: '{field}' is of type {type(cells).__name__}, not a list of values; "
                "pass one row as a list of one dictionary"
            )
        values[field] = list(cells)
    sizes = {field: len(cells) for field, cells in values.items()}
    if len(set(sizes.values())) > 1:
        raise UserError(f"{source}: the columns differ in length ({sizes}); make them equal")
    count = next(iter(sizes.values()), 0)
    taken = {column: values[field] for column, field in found.items()}
    beside = {}
    for field in schema.beside(fields, found.values()):
        cells = columns[fields.index(field)]
        # A column that nobody asked for may hold anything.
        if _is_column(cells) and len(listed := list(cells)) == count:
            beside[field] = listed
    return Raw(taken, [f"{source} row {i + 1}" for i in range(count)], source, beside)


def _is_column(cells: Any) -> bool:
    return isinstance(cells, Iterable) and not isinstance(cells, str | bytes)


def _from_tf_data(source: Any, schema: Schema) -> Raw:
    name = "tf.data.Dataset"
    if source.cardinality().numpy() == -1:
        raise UserError(f"{name} repeats without end; pass it without .repeat(), or add .take(n)")
    return _from_rows(source.as_numpy_iterator(), schema, name)


def _from_rows(rows: Iterable[Any], schema: Schema, source: str) -> Raw:
    iterator = iter(rows)
    first = next(iterator, _END)
    if first is _END:
        return Raw({}, [], source)
    wrapped = (_wrapped(row, schema) for row in itertools.chain([first], iterator))
    record = _mapping if isinstance(_wrapped(first, schema), Mapping) else _named
    records = (
        record(row, schema, f"{source} row {number}") for number, row in enumerate(wrapped, 1)
    )
    return from_records(records, schema, source)


def _wrapped(row: Any, schema: Schema) -> Any:
    """The row; if it is a single value, the dictionary that it stands for."""
    alone = schema.required or list(schema.columns)
    if len(alone) > 1 and schema.required:
        return row
    column = alone[0]
    is_value = schema.columns[column].kind.is_value(row)
    return {schema.rename.get(column, column): row} if is_value else row


def _placed(raw: Raw, schema: Schema) -> Raw:
    """The rows; if each is a single value, its kind names the places."""
    if len(raw.columns) != 1:
        return raw
    (column, cells), *_ = raw.columns.items()
    kind = schema.columns[column].kind
    places = [kind.place(cell) or at for cell, at in zip(cells, raw.places, strict=True)]
    return Raw(raw.columns, places, raw.source, raw.beside)


def _mapping(row: Any, schema: Schema, place: str) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise UserError(
            f"{place} is of type {type(row).__name__} where the first row is a dictionary; "
            "make every row a dictionary"
        )
    return row if all(isinstance(key, str) for key in row) else {str(k): row[k] for k in row}


def _named(row: Any, schema: Schema, place: str) -> Mapping[str, Any]:
    """Give the values of a tuple the names of the columns, in their order."""
    names = list(schema.columns)
    fields = [schema.rename.get(name, name) for name in names]
    values = (row,) if isinstance(row, str | bytes) else row
    if not isinstance(values, tuple | list):
        raise UserError(
            f"{place} is of type {type(row).__name__}; pass dictionaries with the keys "
            f"{quoted(fields)}, or tuples in that order"
        )
    if len(values) > len(fields) or any(map(schema.requires, names[len(values) :])):
        raise UserError(
            f"{place} has {len(values)} values; give {quoted(fields)} in that order, "
            "or dictionaries"
        )
    return dict(zip(fields, values, strict=False))
