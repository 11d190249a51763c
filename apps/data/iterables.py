"""Readers of what Python code passes in: lists, columns, data frames, generators, tf.data."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from apps.data.columns import Kind, Schema, quoted
from apps.data.examples import Examples
from apps.data.records import from_records
from apps.errors import UserError

_END = object()


def read_iterable(source: Any, schema: Schema) -> Examples:
    """Read rows or columns that are in memory already, or that an iterator makes.

    Args:
        source: an iterable of dictionaries, or of tuples in the order of the schema's columns
            (the last ones may be left out where they are not required), or of plain texts or
            recordings where one column is all that is required; a dictionary of columns; a pandas
            DataFrame; an unbatched tf.data.Dataset. A recording is a path, a clip, `(array, rate)`
            or a dictionary of `array` and `sampling_rate`.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first. The place of a row that is a path alone is the path.

    Raises:
        UserError: the source is none of these, is batched, or lacks a wanted column.
    """
    return _placed(_examples(source, schema), schema)


def _examples(source: Any, schema: Schema) -> Examples:
    name = type(source).__name__
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return _from_frame(source, schema)
    if isinstance(source, Mapping):
        return _from_columns({str(key): values for key, values in source.items()}, schema, name)
    if hasattr(source, "as_numpy_iterator"):
        return _from_tf_data(source, schema)
    if isinstance(source, bytes) or not isinstance(source, Iterable):
        raise UserError(
            f"data of type {name} cannot be read; pass a path, a list of dictionaries, "
            "a dictionary of columns, a DataFrame or a tf.data.Dataset"
        )
    return _from_rows(source, schema, name)


def _from_frame(frame: Any, schema: Schema) -> Examples:
    fields = [str(field) for field in frame.columns]
    for field in fields:
        if fields.count(field) > 1:
            raise UserError(f"DataFrame: the column '{field}' is there twice; rename one of them")
    columns = {field: frame.iloc[:, i].tolist() for i, field in enumerate(fields)}
    return _from_columns(columns, schema, "DataFrame")


def _from_columns(columns: Mapping[str, Any], schema: Schema, source: str) -> Examples:
    values: dict[str, Sequence[Any]] = {}
    for column, field in schema.match(list(columns), source).items():
        cells = columns[field]
        if isinstance(cells, str | bytes) or not isinstance(cells, Iterable):
            raise UserError(
                f"{source}: '{field}' is of type {type(cells).__name__}, not a list of values; "
                "pass one row as a list of one dictionary"
            )
        values[column] = list(cells)
    sizes = {column: len(cells) for column, cells in values.items()}
    if len(set(sizes.values())) > 1:
        raise UserError(f"{source}: the columns differ in length ({sizes}); make them equal")
    count = next(iter(sizes.values()), 0)
    return Examples(values, [f"{source} row {i + 1}" for i in range(count)], source)


def _from_tf_data(source: Any, schema: Schema) -> Examples:
    name = "tf.data.Dataset"
    if source.cardinality().numpy() == -1:
        raise UserError(f"{name} repeats without end; pass it without .repeat(), or add .take(n)")
    return _from_rows(source.as_numpy_iterator(), schema, name)


def _from_rows(rows: Iterable[Any], schema: Schema, source: str) -> Examples:
    iterator = iter(rows)
    first = next(iterator, _END)
    if first is _END:
        return Examples({}, [], source)
    wrapped = (_wrapped(row, schema) for row in itertools.chain([first], iterator))
    record = _mapping if isinstance(_wrapped(first, schema), Mapping) else _named
    records = (
        record(row, schema, f"{source} row {number}") for number, row in enumerate(wrapped, 1)
    )
    return from_records(records, schema, source)


def _wrapped(row: Any, schema: Schema) -> Any:
    """A row that is one recording by itself, as the dictionary it stands for."""
    audio = schema.first(Kind.AUDIO)
    if audio is None or any(name != audio for name in schema.required):
        return row
    from apps.data.audio_column import is_recording

    alone = is_recording(row) or not isinstance(row, Mapping | tuple | list)
    return {schema.rename.get(audio, audio): row} if alone else row


def _placed(examples: Examples, schema: Schema) -> Examples:
    """Rows that are paths alone, named by them: the user knows no row numbers there."""
    audio = schema.first(Kind.AUDIO)
    if audio is None or list(examples.columns) != [audio]:
        return examples
    cells = zip(examples[audio], examples.places, strict=True)
    places = [
        str(cell) if isinstance(cell, str | os.PathLike) and str(cell).strip() else place
        for cell, place in cells
    ]
    return Examples(examples.columns, places, examples.source)


def _mapping(row: Any, schema: Schema, place: str) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise UserError(
            f"{place} is of type {type(row).__name__} where the first row is a dictionary; "
            "make every row a dictionary"
        )
    _check_single(row, schema, place)
    return row


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
    record = dict(zip(fields, values, strict=False))
    _check_single(record, schema, place)
    return record


def _check_single(record: Mapping[str, Any], schema: Schema, place: str) -> None:
    if schema.first(Kind.AUDIO):
        # A recording may be an array; the check of its values tells a batch of them.
        return
    for field, value in record.items():
        if isinstance(value, np.ndarray) and value.ndim:
            raise UserError(
                f"{place}: '{field}' holds {len(value)} values; pass single rows "
                "(of a batched tf.data.Dataset: .unbatch())"
            )
