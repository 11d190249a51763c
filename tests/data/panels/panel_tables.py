"""What the tests of tables share: small tables, and what is said and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from apps.data.panels.making import Reading, series_of
from apps.data.panels.series import Channels, TimeSeries
from apps.data.panels.table import read_tables
from apps.errors import UserError


class Told:
    """What was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


SAID = Told()


def table(*lines: str) -> str:
    """The text of a file."""
    return "\n".join(lines) + "\n"


def hours(number: int) -> str:
    """The hour so many hours after the first one."""
    return f"2020-01-{1 + number // 24:02} {number % 24:02}:00"


def made(
    source: Any,
    known: Channels | None = None,
    roles: dict[str, str] | None = None,
    since: str = "",
    until: str = "",
    name: str = "sales.csv",
    **reading: Any,
) -> tuple[list[TimeSeries], Channels]:
    """The series of one table; a text is the content of a file."""
    with TemporaryDirectory() as folder:
        if isinstance(source, str | bytes):
            path = Path(folder) / name
            path.write_bytes(source.encode() if isinstance(source, str) else source)
            source = path
        tables = read_tables(source, roles or {})
        assert tables is not None
        (one,) = tables
        one = replace(one, since=since, until=until)
        return series_of(one, Reading(**reading), known, SAID)


def refused(source: Any, known: Channels | None = None, **options: Any) -> str:
    """The one line with which a table is refused."""
    with pytest.raises(UserError) as caught:
        made(source, known, **options)
    return str(caught.value)
