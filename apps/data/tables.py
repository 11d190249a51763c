"""Readers of tables with a header: `.csv` and `.tsv`."""

from __future__ import annotations

import contextlib
import csv
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from apps.data.columns import Schema, quoted
from apps.data.files import check_decoded, open_text
from apps.data.raw import Raw
from apps.errors import UserError

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}


_Quoting = Literal[0, 3]


class _QuoteError(UserError):
    """Quotes in a table that do not pair up."""


def read_csv(path: Path, schema: Schema) -> Raw:
    """Read rows separated by comma, semicolon, tab or bar, whichever splits the header most.

    Args:
        path: the file; quoted texts may hold separators, line ends and doubled quotes.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first row under the header.

    Raises:
        UserError: the header or a row is malformed, or a wanted column is missing.
    """
    with open_text(path) as stream:
        head: list[str] = []
        for line in stream:
            head.append(line)
            if line.strip():
                break
        fields = {m: next(csv.reader(head[-1:], delimiter=m), []) for m in _SEPARATORS}
        separator = max(fields, key=lambda mark: len(fields[mark]))
        return _table(itertools.chain(head, stream), separator, csv.QUOTE_MINIMAL, path, schema)


def read_tsv(path: Path, schema: Schema) -> Raw:
    """Read rows separated by tabs.

    Quotes are read as in CSV. Where they do not pair up, as in corpora that never quote, the whole
    file is read with quotes as plain characters.

    Args:
        path: the file.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first row under the header.

    Raises:
        UserError: the header or a row is malformed, or a wanted column is missing.
    """
    try:
        with open_text(path) as stream:
            return _table(stream, "\t", csv.QUOTE_MINIMAL, path, schema)
    except _QuoteError:
        with open_text(path) as stream:
            return _table(stream, "\t", csv.QUOTE_NONE, path, schema)


def _table(
    lines: Iterable[str], separator: str, quoting: _Quoting, path: Path, schema: Schema
) -> Raw:
    """Take the wanted columns from the rows under a header, checking the shape of each row."""
    rows = _rows(lines, separator, quoting, path)
    _, header = next(rows, (0, None))
    if header is None:
        raise UserError(
            f"{path} is empty; name the columns {quoted(schema.required)} in its first row"
        )
    fields = [name.strip() for name in header]
    for name in fields:
        check_decoded(name, path, f"{path} header")
    found = schema.match(fields, str(path))
    wanted = {*found.values(), *schema.beside(fields, found.values())}
    cells: dict[str, list[str]] = {field: [] for field in wanted}
    at = [(fields.index(field), values) for field, values in cells.items()]

    places: list[str] = []
    for line, row in rows:
        place = f"{path} row {len(places) + 1}"
        if len(row) > len(fields):
            raise UserError(
                f"{place} (line {line}) has {len(row)} fields, the header only {len(fields)}; "
                f"put quotes around a text that holds {_SEPARATORS[separator]}"
            )
        if len(row) < len(fields):
            raise UserError(
                f"{place} (line {line}) has only {len(row)} of {len(fields)} fields; "
                "complete the row, or remove it"
            )
        for index, values in at:
            check_decoded(row[index], path, place)
            values.append(row[index])
        places.append(place)
    columns = {column: cells[field] for column, field in found.items()}
    beside = {field: cells[field] for field in wanted - {*found.values()}}
    return Raw(columns, places, str(path), beside)


def _rows(
    lines: Iterable[str], separator: str, quoting: _Quoting, path: Path
) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the number of its last line."""
    reader = csv.reader(lines, delimiter=separator, quoting=quoting, strict=True)
    count = 0
    with _any_field_size():
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
                    count += 1
        except csv.Error as error:
            row_name = f"row {count}" if count else "header"
            raise _QuoteError(
                f"{path} {row_name} (line {reader.line_num}): a quote is not closed, or text "
                f"follows a closing one ({error}); "
                'double the quotes inside a quoted text: "a ""b"" c"'
            ) from None


@contextlib.contextmanager
def _any_field_size() -> Iterator[None]:
    """Lift the csv module's limit of 128 KiB, since a column's own limit names row and remedy."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
