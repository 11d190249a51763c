"""A table as it was read, its cells unchecked, and the sources that are tables."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.data.files import explained
from apps.data.panels.delimited import read_delimited
from apps.data.records import read_objects
from apps.errors import UserError

if TYPE_CHECKING:
    import pandas

# What the one column of a plain list of numbers is called.
UNNAMED = "value"
_DELIMITED = (".csv", ".tsv", ".tab", ".txt")
_JSON = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True, eq=False)
class Table:
    """A table of one or many series, as it was read.

    Attributes:
        frame: names as in the source; cells of files are texts, of Python objects what they are.
        source: ready for a message.
        roles: role to columns, as `--columns` gave them: `{"time": "date", "target": "a+b"}`.
        since, until: a time, or "#100" for the row before which each series has 100 rows; "" where
            there is no limit. The former is included, the latter is not.
        name: of the series where no column says it.
        bare: whether it is nothing but numbers, whose one column has no name of its own.
        separator: what stands between the cells of a file, "" elsewhere.
    """

    frame: pandas.DataFrame
    source: str
    roles: Mapping[str, str]
    since: str = ""
    until: str = ""
    name: str = ""
    bare: bool = False
    separator: str = ""


def read_tables(source: Any, roles: Mapping[str, str]) -> list[Table] | None:
    """Read the tables of a source.

    Args:
        source: a path of a table (`.csv`, `.tsv`, `.tab`, `.txt`) or of JSON records (`.jsonl`,
            `.ndjson`, `.json`), each also `.gz`; a folder of such files, each a table; a DataFrame;
            a dictionary of columns; a list of dictionaries, of numbers, or of lists of numbers,
            each a series.
        roles: role to the columns that have it.

    Returns:
        The tables, or None where the source is no table: made series, an empty list, a file of
        another kind.

    Raises:
        UserError: a file is damaged or is not what its name says; names file, row and remedy.
    """
    if isinstance(source, str | Path):
        return _from_path(Path(source).expanduser(), roles)
    name = type(source).__name__
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        return [Table(_with_index(source), name, roles)]
    if isinstance(source, Mapping):
        return [Table(_columns(source, name), name, roles)]
    if isinstance(source, np.ndarray):
        source = source.tolist()
    if not isinstance(source, list | tuple) or not source:
        return None
    if all(isinstance(one, Mapping) for one in source):
        if not any(source) or ("series" in source[0] and _made(source)):
            return None
        return [_records(source, name, roles)]
    if (alone := bare_table(source, name)) is not None:
        return [alone]
    tables = [
        bare_table(one, f"{name} row {number}") if isinstance(one, list | tuple) else None
        for number, one in enumerate(source, 1)
    ]
    return [table for table in tables if table] if all(tables) else None


def bare_table(values: Any, source: str) -> Table | None:
    """The table that a list of numbers is; None where it is no such list."""
    import pandas

    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, list | tuple) or not values:
        return None
    if not all(one is None or isinstance(one, numbers.Real) for one in values):
        return None
    column = np.array([np.nan if one is None else float(one) for one in values])
    return Table(pandas.DataFrame({UNNAMED: column}), source, {}, bare=True)


def _made(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the rows hold series rather than the ids of series."""
    value = rows[0]["series"]
    listed = isinstance(value, str) and "," in value and len(rows[0]) == 1
    return listed or not isinstance(value, str | numbers.Number)


def _from_path(path: Path, roles: Mapping[str, str]) -> list[Table] | None:
    with explained(path):
        if not path.is_dir():
            return None if _suffix(path) is None else [_from_file(path, roles, "")]
    files = [
        file
        for file in sorted(path.rglob("*"))
        if _suffix(file) and file.is_file() and not _hidden(file.relative_to(path))
    ]
    if not files:
        raise UserError(f"{path} holds no tables ({', '.join(_DELIMITED + _JSON)}); name a file")
    if len(files) == 1:
        return [_from_file(files[0], roles, "")]
    return [_from_file(file, roles, _stem(file.relative_to(path))) for file in files]


def _suffix(path: Path) -> str | None:
    """The suffix, that of gzip aside, where it is one of a table."""
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    return suffix if suffix in _DELIMITED + _JSON else None


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.parts)


def _stem(path: Path) -> str:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.with_suffix("").as_posix()


def _from_file(path: Path, roles: Mapping[str, str], name: str) -> Table:
    if _suffix(path) in _JSON:
        rows = list(read_objects(path))
        if not rows:
            raise UserError(f"{path} has no rows; give at least two")
        return _records(rows, str(path), roles, name)
    frame, separator, bare = read_delimited(path)
    return Table(frame, str(path), roles, name=name, bare=bare, separator=separator)


def _records(
    rows: Sequence[Mapping[str, Any]], source: str, roles: Mapping[str, str], name: str = ""
) -> Table:
    import pandas

    frame = pandas.DataFrame.from_records([{str(key): row[key] for key in row} for row in rows])
    return Table(frame, source, roles, name=name)


def _columns(columns: Mapping[Any, Any], source: str) -> pandas.DataFrame:
    import pandas

    sizes = {}
    for name, cells in columns.items():
        if isinstance(cells, str | bytes) or not isinstance(cells, Iterable):
            raise UserError(
                f"{source}: '{name}' is of type {type(cells).__name__}, not a list of values; "
                "pass one row as a list of one dictionary"
            )
        sizes[str(name)] = len(list(cells))
    if len(set(sizes.values())) > 1:
        raise UserError(f"{source}: the columns differ in length ({sizes}); make them equal")
    values = {str(name): cells for name, cells in columns.items()}
    return pandas.DataFrame(
        {n: c.reset_index(drop=True) if hasattr(c, "reset_index") else c for n, c in values.items()}
    )


def _with_index(frame: Any) -> pandas.DataFrame:
    """The frame with names that are texts, its index as a column where that says something."""
    import pandas

    if not isinstance(frame.index, pandas.RangeIndex):
        plain = frame.index.nlevels == 1 and frame.index.name is None
        dated = isinstance(frame.index, pandas.DatetimeIndex | pandas.PeriodIndex)
        if dated and plain:
            frame = frame.rename_axis("time")
        drop = plain and not dated and frame.index.dtype.kind in "iu"
        frame = frame.reset_index(drop=drop)
    else:
        frame = frame.reset_index(drop=True)
    return frame.set_axis([str(name) for name in frame.columns], axis=1)
