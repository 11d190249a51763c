"""Tables of time series, and the roles of their columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from apps.data.columns import Column
from apps.data.content import Update, feed
from apps.data.examples import Examples
from apps.data.kind import Kind
from apps.data.panels.cells import as_numbers, as_texts
from apps.data.panels.series import TimeSeries
from apps.data.panels.table import Table, bare_table, read_tables
from apps.data.raw import RawColumn
from apps.errors import UserError


def panel(*, required: bool = True, aliases: Iterable[str] = ()) -> Column:
    """A column each value of which is a table of one or many series, or a series."""
    return Column(Panel(), required, tuple(aliases))


def role() -> Column:
    """A name that `--columns` may give to columns of a table; never read by itself."""
    return Column(Role(), False)


@dataclass(frozen=True)
class Panel(Kind):
    """Series; values are `Table`, cells unchecked, or `TimeSeries`."""

    by_name: ClassVar[bool] = False

    def parse(self, column: RawColumn) -> Sequence[Table | TimeSeries]:
        pairs = zip(column.places, column.values, strict=True)
        return [self._one(value, place) for place, value in pairs]

    def read(self, source: Any, rename: Mapping[str, str]) -> Examples | None:
        tables = read_tables(source, rename)
        if tables is None:
            return None
        name = str(source) if isinstance(source, str | Path) else type(source).__name__
        return Examples({"series": tables}, [table.source for table in tables], name)

    def is_value(self, value: Any) -> bool:
        return not isinstance(value, Mapping)

    def digest(self, value: Table | TimeSeries, update: Update) -> None:
        if isinstance(value, TimeSeries):
            for one in fields(value):
                # A file may lie elsewhere.
                if one.name not in ("source", "step"):
                    feed(getattr(value, one.name), update)
            feed(str(value.step), update)
            return
        feed(dict(value.roles), update)
        feed([value.since, value.until, value.name], update)
        for name in value.frame.columns:
            feed(str(name), update)
            _feed_cells(value.frame[name], update)

    def _one(self, value: Any, place: str) -> Table | TimeSeries:
        if isinstance(value, Table | TimeSeries):
            return value
        given = _numbers(value) if isinstance(value, str) else value
        table = bare_table(given, place)
        if table is None:
            shown = (
                repr(value[:40]) if isinstance(value, str) else f"of type {type(value).__name__}"
            )
            raise UserError(
                f"{place}: the series is {shown}, not a list of numbers; write it like 1, 2, 3 or "
                "name a table: --file FILE"
            )
        return table


def _numbers(text: str) -> list[Any] | None:
    """The numbers in "[1, 2, 3]" or "1, 2, 3"."""
    whole = text.strip()
    try:
        found = json.loads(whole if whole.startswith("[") else f"[{whole.replace(';', ',')}]")
    except (ValueError, RecursionError):
        return None
    return found


def _feed_cells(column: Any, update: Update) -> None:
    """Feed a column of a frame: numbers as they are, other cells as texts and their lengths."""
    if (numbers := as_numbers(column)) is not None:
        feed(numbers, update)
        return
    texts = as_texts(column)
    _, ends, content = texts.buffers()
    ends = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    feed(np.diff(ends), update)
    update(b"" if content is None else memoryview(content)[int(ends[0]) : int(ends[-1])].tobytes())


@dataclass(frozen=True)
class Role(Kind):
    """What columns of a table are for; it names columns and has no values of its own."""

    by_name: ClassVar[bool] = False

    def parse(self, column: RawColumn) -> Sequence[Any]:
        return column.values
