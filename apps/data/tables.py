"""Readers of tables with a header: `.csv` and `.tsv`."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apps import environment
from apps.data.columns import Schema, quoted
from apps.data.files import check_decoded, open_text
from apps.data.raw import Raw
from apps.errors import UserError

_SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a vertical bar"}
_MARK = "\ufeff"
_STATED = re.compile(r'"?sep=([,;\t|])"?\s*$', re.IGNORECASE)
_MOST_LABELS = 1000
_ENCLOSED = re.compile(r'"(?:[^"]|"")+"')

# How quotes are read: as the csv module does, with `\"` inside them, or as plain characters.
_Quotes = Literal["doubled", "escaped", "plain"]


class _ShapeError(UserError):
    """Quotes that do not pair up, or a row whose fields are not those of the header."""


@dataclass(frozen=True)
class _Read:
    """A table read in one way.

    Attributes:
        raw: its rows.
        joined: numbers of the lines that go on with the row of the line before.
    """

    raw: Raw
    joined: Sequence[int]


def read_table(path: Path, schema: Schema) -> Raw:
    """Read rows separated by tab, comma, semicolon or bar, whichever suits the header best.

    Quoted texts may hold separators, line ends and doubled quotes. Corpora that never quote begin
    texts with a quote all the same, so rows may run together without an error. Where quotes do not
    pair up, or join lines that are whole rows each, quotes are plain characters.

    Args:
        path: the file. Lines that are blank or repeat the header are passed over.
        schema: the wanted columns.

    Returns:
        Unchecked values; row 1 is the first row under the header.

    Raises:
        UserError: the header or a row is malformed, or a wanted column is missing.
    """
    separator, header = _header(path, schema)
    found: _Read | None = None
    error: _ShapeError | None = None
    try:
        found = _read(path, schema, separator, "doubled")
        if not found.joined:
            return found.raw
    except _ShapeError as problem:
        error = problem
    if (escaped := _escaped(path, schema, separator)) is not None:
        return escaped
    if (len(header) > 1 or found is None) and not any(map(_ENCLOSED.fullmatch, header)):
        joined = None if found is None else found.joined
        if _never_quotes(path, separator, len(header), joined):
            with contextlib.suppress(_ShapeError):
                plain = _read(path, schema, separator, "plain").raw
                _say_plain(path, len(plain.places), found)
                return plain
    if error is not None:
        raise error
    assert found is not None
    return found.raw


def has_header(path: Path, schema: Schema) -> bool:
    """Whether the first line of a file names every wanted column."""
    _, header = _header(path, schema)
    names = [name.strip().strip('"') for name in header]
    return all(schema.find(column, names, str(path)) is not None for column in schema.required)


def _header(path: Path, schema: Schema) -> tuple[str, list[str]]:
    """The separator, and the first line between separators as it stands."""
    with open_text(path) as stream:
        stated = _STATED.match(next(stream, ""))
    with _lines(path) as lines:
        line = next((line for line in lines if line.strip()), "")
    if stated:
        return stated[1], line.strip().split(stated[1])
    fields = {mark: next(csv.reader([line], delimiter=mark), []) for mark in _SEPARATORS}
    by_name = "\t" if ".tsv" in path.name.lower() else ","

    def suits(mark: str) -> tuple[int, int, bool]:
        names = [name.strip() for name in fields[mark]]
        found = [schema.find(column, names, str(path)) for column in schema.required]
        return len(found) - found.count(None), len(names), mark == by_name

    separator = max(fields, key=suits)
    return separator, line.strip().split(separator)


def _escaped(path: Path, schema: Schema, separator: str) -> Raw | None:
    """The table if its quotes are escaped with a backslash, else None."""
    with _lines(path) as stream:
        if not any('\\"' in line for line in stream):
            return None
    with contextlib.suppress(_ShapeError):
        found = _read(path, schema, separator, "escaped")
        if not found.joined:
            environment.say(f'{path}: quotes inside texts are escaped as \\", and read so')
            return found.raw
    return None


def _never_quotes(path: Path, separator: str, width: int, joined: Sequence[int] | None) -> bool:
    """Whether a table looks as if its quotes were characters like others.

    Args:
        path: the table.
        separator: stands between its fields.
        width: how many fields each line would have.
        joined: numbers of lines that quotes join with the line before; None where quotes do not
            pair up.
    """
    known: list[set[str]] = [set() for _ in range(width)]
    alike, whole, halves = 0, 0, 0
    apart = set(joined or ())
    later: list[list[str]] = []
    with _lines(path) as stream:
        for number, row in enumerate(_split(stream, separator), 1):
            if row is None:
                continue
            if len(row) < width or any(row[width:]):
                return False
            if number in apart:
                later.append(row)
                continue
            for values, value in zip(known, row, strict=False):
                if len(values) < _MOST_LABELS:
                    values.add(value)
                whole += bool(_ENCLOSED.fullmatch(value))
                halves += value.startswith('"') != value.endswith('"')
    # No text holds line ends and tabs such that every line has as many as the header.
    if separator == "\t":
        return True
    if joined is None:
        return whole <= halves
    for row in later:
        alike += any(value in values for value, values in zip(row, known, strict=False))
    return 2 * alike > len(later)


def _say_plain(path: Path, rows: int, found: _Read | None) -> None:
    reason = (
        "they do not pair up"
        if found is None
        else f"pairing them would join whole lines ({len(found.raw.places)} rows, not {rows})"
    )
    environment.say(f"{path}: quotes are read as characters of the texts, since {reason}")


def _read(path: Path, schema: Schema, separator: str, quotes: _Quotes) -> _Read:
    """Take the wanted columns from the rows under a header, checking the shape of each row."""
    with _lines(path) as stream, _any_field_size():
        rows = _rows(stream, separator, quotes, path)
        _, end, header = next(rows, (0, 0, None))
        if header is None:
            raise UserError(
                f"{path} is empty; name the columns {quoted(schema.required)} in its first row"
            )
        fields = [name.strip() for name in header]
        for name in fields:
            check_decoded(name, path, f"{path} header")
        found = schema.match(fields, str(path))
        seen = schema.beside(fields, found.values())
        cells: dict[str, list[str]] = {field: [] for field in [*found.values(), *seen]}
        at = [(fields.index(field), values) for field, values in cells.items()]

        places: list[str] = []
        joined: list[int] = []
        repeated: list[int] = []
        blank: list[int] = []
        width = 0
        for first, last, row in rows:
            blank += range(end + 1, first)
            end = last
            if row == header:
                repeated.append(first)
                continue
            place = f"{path} row {len(places) + 1}"
            # Some writers end each row with a separator, but not the header.
            width = width or len(fields) + _empty_fields_behind(row, len(fields))
            if len(row) != width or any(row[len(fields) :]):
                for cell in row:
                    check_decoded(cell, path, place)
                raise _wrong_shape(place, first, last, len(row), len(fields), separator)
            for index, values in at:
                check_decoded(row[index], path, place)
                values.append(row[index])
            places.append(place)
            joined += range(first + 1, last + 1)
    _say_passed_over(path, blank, "blank")
    _say_passed_over(path, repeated, "the header once more")
    columns = {column: cells[field] for column, field in found.items()}
    beside = {field: cells[field] for field in seen}
    return _Read(Raw(columns, places, str(path), beside), joined)


def _say_passed_over(path: Path, lines: Sequence[int], what: str) -> None:
    if lines:
        count = "1 line" if len(lines) == 1 else f"{len(lines)} lines"
        environment.say(f"{path}: {count} passed over, {what}: line {quoted(lines, 5)}")


def _empty_fields_behind(row: Sequence[str], width: int) -> int:
    behind = row[width:]
    return 0 if any(behind) else len(behind)


def _wrong_shape(
    place: str, first: int, last: int, given: int, wanted: int, separator: str
) -> _ShapeError:
    lines = f"line {first}"
    remedy = "complete the row, or remove it"
    if given > wanted:
        remedy = f"put quotes around a text that holds {_SEPARATORS[separator]}"
    if last > first:
        lines = f"lines {first} to {last}"
        remedy = 'a quote joins these lines; double the quotes inside a quoted text: "a ""b"" c"'
    found = f"only {given} of {wanted} fields"
    if given > wanted:
        found = f"{given} fields, the header only {wanted}"
    return _ShapeError(f"{place} ({lines}) has {found}; {remedy}")


def _rows(
    lines: Iterable[str], separator: str, quotes: _Quotes, path: Path
) -> Iterator[tuple[int, int, list[str]]]:
    """Rows that are not blank, each with the numbers of its first and last line."""
    if quotes == "plain":
        for number, row in enumerate(_split(lines, separator), 1):
            if row is not None:
                yield number, number, row
        return
    escape = "\\" if quotes == "escaped" else None
    reader = csv.reader(lines, delimiter=separator, strict=True, escapechar=escape)
    count, last, width = 0, 0, 0
    try:
        for row in reader:
            # In a table of one column white space is a text.
            if len(row) > 1 or "".join(row).strip() or (row and width == 1):
                width = width or len(row)
                row[0] = row[0].removeprefix(_MARK)
                yield last + 1, reader.line_num, row
                count += 1
            last = reader.line_num
    except csv.Error as error:
        row_name = f"row {count}" if count else "header"
        raise _ShapeError(
            f"{path} {row_name} (line {last + 1}): a quote is not closed, or text follows a "
            f"closing one ({error}); "
            'double the quotes inside a quoted text: "a ""b"" c"'
        ) from None


@contextlib.contextmanager
def _lines(path: Path) -> Iterator[Iterable[str]]:
    """The lines of a table; one that tells spreadsheets the separator becomes a blank one."""
    with open_text(path) as stream:
        first = next(stream, "")
        yield itertools.chain(["\n" if _STATED.match(first) else first], stream)


def _split(lines: Iterable[str], separator: str) -> Iterator[list[str] | None]:
    """The fields of each line, quotes being plain characters; None for a blank line."""
    for line in lines:
        text = line.rstrip("\r\n").removeprefix(_MARK)
        yield text.split(separator) if text.strip(" ") else None


@contextlib.contextmanager
def _any_field_size() -> Iterator[None]:
    """Lift the csv module's limit of 128 KiB, since a column's own limit names row and remedy."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)
