"""Tables of time series, and how they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps import environment
from apps.components import Input
from apps.configuration import ApplicationConfig, fixed
from apps.data import Column, Examples
from apps.data.kinds.panel import panel, role
from apps.data.panels import windows
from apps.data.panels.making import Reading, series_of
from apps.data.panels.series import Channels, TimeSeries
from apps.data.panels.table import Table
from apps.data.panels.windows import CHANNELS, SERIES
from apps.errors import UserError

ROLES = ("time", "id", "target", "past", "future", "static")


@dataclass(frozen=True)
class SeriesTablesConfig(ApplicationConfig):
    """How tables of series are read where it is not left to be found out.

    Holes are filled with the `last` value, that of a season before (`seasonal`) or `zero`, or
    refused; of `duplicates` of one time, the `last`, `first`, `mean` or `sum` is taken; `frequency`
    (`h`, `15min`, `D`) puts rows into such steps; `timezone` is that of times without one;
    `date_order` (`dmy`, `mdy`, `ymd`) and `decimal` (`.` or `,`) overrule what is detected.
    """

    fill: str = fixed("last", choices=("last", "seasonal", "zero", "refuse"))
    duplicates: str = fixed("refuse", choices=("refuse", "last", "first", "mean", "sum"))
    frequency: str = fixed("")
    timezone: str = fixed("")
    date_order: str = fixed("", choices=("", "dmy", "mdy", "ymd"))
    decimal: str = fixed("", choices=("", ".", ","))


class SeriesTables(Input):
    """What inputs made of tables of series have in common; values of `series` are tables."""

    config: Any
    columns: Mapping[str, Column] = {SERIES: panel()}
    attributes: Mapping[str, Column] = {name: role() for name in ROLES}

    def within(self, examples: Examples, since: str | None, until: str | None) -> Examples:
        if since is None and until is None:
            return examples
        limits = {"since": since or "", "until": until or ""}
        if not all(isinstance(table, Table) for table in examples[SERIES]):
            raise UserError(f"{examples.source}: --since and --until take a table of series")
        tables = [dataclasses.replace(table, **limits) for table in examples[SERIES]]
        return Examples({**examples.columns, SERIES: tables}, examples.places, examples.source)

    def walked(self, examples: Examples) -> tuple[Sequence[TimeSeries], int]:
        """The series that a backtest walks through, and the fewest rows of a fold."""
        raise NotImplementedError(type(self).__name__)

    def origins(self, examples: Examples, folds: int, given: bool) -> list[str]:
        series, least = self.walked(examples)
        one = max(series, key=lambda each: min(each.last, each.end))
        last = min(one.last, one.end)
        first = one.first if given else last // 2
        if last - first < folds * least:
            raise UserError(
                f"{examples.source}: {last - first} rows are too few for {folds} folds of at least "
                f"{least} rows; take fewer folds, or begin earlier with --since"
            )
        rows = np.linspace(first, last, folds + 1).round().astype(int)
        moments = windows.times(one, 0, last + 1)[rows]
        if not one.step.dated:
            return [repr(float(moment)) for moment in moments]
        return [str(np.datetime64(round(moment), "s")) for moment in moments]

    def _series(self, examples: Examples, known: Channels | None) -> Examples:
        """The series of all tables, a row each."""
        series: list[TimeSeries] = []
        for value in examples[SERIES]:
            if isinstance(value, TimeSeries):
                series.append(value)
                continue
            found, known = self._of_table(value, known)
            series += found
        seen: dict[str, TimeSeries] = {}
        for one in series:
            if seen.setdefault(one.name, one) is not one:
                raise UserError(
                    f"{one.place(0)}: a series '{one.name}' is in {seen[one.name].source} too; "
                    "give each a name of its own, or name the column that tells them apart: "
                    "--columns id=NAME"
                )
        if known is None:
            raise UserError(
                f"{examples.source}: series without the names of their channels; give a table"
            )
        places = [one.place(0) for one in series]
        columns: dict[str, Any] = {SERIES: series, CHANNELS: [known.to_dict()] * len(series)}
        return Examples(columns, places, examples.source)

    def _of_table(self, table: Table, known: Channels | None) -> tuple[list[TimeSeries], Channels]:
        return series_of(table, self._reading, known, environment.say)

    @property
    def _reading(self) -> Reading:
        names = [field.name for field in dataclasses.fields(Reading)]
        return Reading(**{n: value for n, value in vars(self.config).items() if n in names})
