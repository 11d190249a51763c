"""Files of cells between separators, read into texts by Arrow's reader."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from apps import environment
from apps.data.files import check_decoded, open_text
from apps.data.panels.naming import counted
from apps.errors import UserError

if TYPE_CHECKING:
    import pandas

_SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a vertical bar"}
_STATED = re.compile(r'"?sep=([,;\t|])"?\s*$', re.IGNORECASE)
# A number, a date, a clock time or an empty cell: what stands in rows rather than in a header.
_DATUM = re.compile(
    r"\s*([-+(]?[$€£]?\s?\d[\d.,'\s]*%?\)?([eE][-+]?\d+)?|nan|null"
    r"|\d+[-/.]\d+[-/.]\d+([T ].*)?)?\s*",
    re.IGNORECASE,
)
_LOOKED_AT = 20


def read_delimited(path: Path) -> tuple[pandas.DataFrame, str, bool]:
    """Read the cells of a file as texts.

    Args:
        path: the file; a comma, a tab, a semicolon or a bar stands between cells.

    Returns:
        The frame, the separator, and whether the file is a list of numbers without a header.

    Raises:
        UserError: the file is empty, no text, has no header, or a row is not as wide as that.
    """
    import pandas
    import pyarrow as pa

    lines = _first_lines(path)
    stated = _STATED.match(lines[0]) if lines else None
    lines = lines[1:] if stated else lines
    if not lines:
        raise UserError(f"{path} is empty; its first row names the columns")
    separator = stated[1] if stated else _separator(lines, path)
    names = [name.strip().removeprefix("\ufeff") for name in _fields(lines[0], separator)]
    for name in names:
        check_decoded(name, path, f"{path} header")
    bare = _is_data(names)
    if bare and len(names) > 1:
        shown = separator.join(names[:4]) + (" …" if len(names) > 4 else "")
        raise UserError(
            f"{path} has no header: its first row is '{shown}'; put a row of names above it"
        )
    if len(lines) == 1 and not bare:
        raise UserError(f"{path} has a header but no rows; give at least two")
    names = ["value"] if bare else _named(names, path)
    width = _width(lines[1:], separator, len(names))
    names += [f"column {number + 1}" for number in range(len(names), width)]
    skipped = bool(stated) + (0 if bare else 1)
    table = _cells(path, separator, names, skipped)
    text = pandas.StringDtype(na_value=float("nan"))
    frame = table.to_pandas(types_mapper={pa.large_string(): text}.get)
    if len(names) == 1:
        frame = _without_blank_end(frame)
    if len(frame):
        _refuse_open_quote(frame, path)
    frame = _without_headers(frame, names, path)
    if not len(frame):
        raise UserError(f"{path} has a header but no rows; give at least two")
    return frame, separator, bare


def _without_blank_end(frame: pandas.DataFrame) -> pandas.DataFrame:
    filled = (frame.iloc[:, 0].str.strip() != "").to_numpy().nonzero()[0]
    return frame.iloc[: int(filled[-1]) + 1 if len(filled) else 0]


def _refuse_open_quote(frame: pandas.DataFrame, path: Path) -> None:
    """Refuse a last cell that goes on to the end of the file, over the lines of other rows."""
    for name, cell in frame.iloc[-1].items():
        if isinstance(cell, str) and "\n" in cell.rstrip():
            raise UserError(
                f"{path} row {len(frame)}: the quote before '{cell[:20].splitlines()[0]}' in the "
                f"column '{name}' is not closed; close or remove it"
            )


def _without_headers(frame: pandas.DataFrame, names: Sequence[str], path: Path) -> pandas.DataFrame:
    """The frame without rows that repeat the header, as files that were joined have; the index
    still counts them."""
    again = frame.index[(frame.iloc[:, 0].str.strip() == names[0]).to_numpy(bool)]
    if names[0] and len(again):
        cells = frame.loc[again].to_numpy(str)
        again = again[[[cell.strip() for cell in row] == list(names) for row in cells]]
        if len(again):
            environment.say(
                f"{path}: {counted(len(again), 'row')} passed over, the header once more"
            )
            frame = frame.drop(index=again)
    return frame


def _first_lines(path: Path) -> list[str]:
    found: list[str] = []
    with open_text(path) as stream:
        for line in stream:
            if line.strip("\r\n \ufeff"):
                found.append(line.rstrip("\r\n"))
            if len(found) > _LOOKED_AT:
                break
    return found


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _separator(lines: Sequence[str], path: Path) -> str:
    """The separator that divides the header most, and every line alike."""
    by_name = (
        "\t" if Path(path.name.lower().removesuffix(".gz")).suffix in (".tsv", ".tab") else ","
    )

    def suits(mark: str) -> tuple[bool, int, bool]:
        counts = [len(_fields(line, mark)) for line in lines[:_LOOKED_AT]]
        alike = counts[0] > 1 and all(count == counts[0] for count in counts)
        return alike, counts[0], mark == by_name

    return max(_SEPARATORS, key=suits)


def _is_data(names: Sequence[str]) -> bool:
    """Whether a first row is one of data; counted columns (0, 1, 2, …) are names."""
    if not all(map(_DATUM.fullmatch, names)):
        return False
    counted = [str(number) for number in range(len(names) + 1)]
    return len(names) == 1 or names not in (counted[:-1], counted[1:])


def _named(names: list[str], path: Path) -> list[str]:
    times = Counter(names)
    twice = next((name for name in names if name and times[name] > 1), None)
    if twice is not None:
        raise UserError(f"{path}: the column '{twice}' is there twice; rename one of them")
    return [name or f"column {at + 1}" for at, name in enumerate(names)]


def _width(lines: Sequence[str], separator: str, width: int) -> int:
    """How wide rows are: some writers end each with a separator, but not the header."""
    rows = [_fields(line, separator) for line in lines[:_LOOKED_AT]]
    widths = {len(row) for row in rows}
    if len(widths) == 1 and not any(any(row[width:]) for row in rows):
        return max(widths.pop(), width)
    return width


def _cells(path: Path, separator: str, names: Sequence[str], skipped: int) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow

    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    reading = arrow.ReadOptions(
        use_threads=False, column_names=list(names), skip_rows=0, block_size=1 << 22
    )
    parsing = arrow.ParseOptions(
        delimiter=separator,
        newlines_in_values=True,
        ignore_empty_lines=len(names) > 1,
        invalid_row_handler=refuse,
    )
    types = dict.fromkeys(names, pa.large_string())
    converting = arrow.ConvertOptions(column_types=types, strings_can_be_null=False)
    with _bytes(path, skipped) as stream:
        try:
            return arrow.read_csv(stream, reading, parsing, converting)
        except pa.ArrowInvalid as error:
            if wrong:
                raise _ragged(path, wrong[0], separator) from None
            if "UTF8" in str(error):
                _check_encoding(path)
            if "Empty CSV" in str(error):
                raise UserError(f"{path} has a header but no rows; give at least two") from None
            raise UserError(
                f"{path} cannot be read as a table ({str(error)[:200]}); a quote may not be closed"
            ) from None


@contextlib.contextmanager
def _bytes(path: Path, skipped: int) -> Iterator[BinaryIO]:
    """The file behind its header, unpacked."""
    with open_text(path) as stream:
        raw: BinaryIO = stream.buffer
        line = raw.readline()
        if b"\r" in line.rstrip(b"\r\n"):
            # No line ends at a line feed, as on the Macintosh of old.
            raw = io.BytesIO((line + raw.read()).replace(b"\r", b"\n"))
        raw.seek(0)
        while skipped:
            line = raw.readline()
            skipped -= bool(line.strip(b"\r\n \xef\xbb\xbf")) or not line
        yield raw


def _ragged(path: Path, row: Any, separator: str) -> UserError:
    found = f"{counted(row.actual_columns, 'cell')}, the header {row.expected_columns}"
    remedy = "complete the row, or remove it"
    if row.actual_columns > row.expected_columns:
        remedy = f"put quotes around a cell that holds {_SEPARATORS[separator]}"
    return UserError(f"{path} row {row.number} has {found}; {remedy}")


def _check_encoding(path: Path) -> None:
    """Refuse the first line with a byte that is not UTF-8, by its number."""
    with open_text(path) as stream:
        for number, line in enumerate(stream, 1):
            check_decoded(line, path, f"{path} line {number}")
