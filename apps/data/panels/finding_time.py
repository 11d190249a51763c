"""Which column of a table is its time, and times that stand in several columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.data.panels import naming
from apps.data.panels.cells import are_holes, as_numbers, as_texts
from apps.data.panels.clock import Times, looks_dated, read_times
from apps.data.panels.dates import spread
from apps.errors import UserError

if TYPE_CHECKING:
    import pandas

_CLOCK = r"^(\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?|\d{1,2}\.\d{2}\.\d{2})\s*([AaPp]\.?[Mm]\.?)?$"
_LOOKED_AT = 200


@dataclass(frozen=True)
class TimeColumns:
    """Finds and reads the time of a table.

    Attributes:
        frame: the table.
        source: for messages.
        place: row to where it stands.
        date_order: as the user set it.
        known_order: of the data that a model learnt from.
    """

    frame: pandas.DataFrame
    source: str
    place: Callable[[int], str]
    date_order: str = ""
    known_order: str = ""

    def named(self, columns: Sequence[str]) -> Times:
        """The times in columns that the user names.

        Raises:
            UserError: they hold no times.
        """
        found = self._read(columns)
        if found is None:
            first = as_texts(self.frame[columns[0]])[0].as_py()
            raise UserError(
                f"{self.place(0)}: the time '{columns[0]}' is '{first[:40]}', neither a date nor a "
                "number; write it like 2020-01-31 or 2020-01-31 14:30:00"
            )
        return found

    def find(self, others: Sequence[str]) -> tuple[list[str], Times] | None:
        """The time column by its name, else the first one that holds dates.

        Args:
            others: columns without a role.

        Returns:
            Its columns and times, or None where there is none.
        """
        for alone in self._candidates(list(others)):
            columns = self._with_clock(alone, others)
            times = self._read(columns)
            if times is not None and (times.dated or self._counts(times.values, columns)):
                return columns, times
        return None

    def _candidates(self, others: list[str]) -> list[list[str]]:
        """Columns that may be the time, the likeliest first."""
        tiers: list[list[list[str]]] = [[], [], [], [], []]
        parted = self._parted(others)
        for name in others:
            called, column = naming.plain(name), self.frame[name]
            if called in naming.DATES or called in naming.TIMES:
                strong = called in naming.DATES
                dated = looks_dated(column, digits=True)
                if strong and not dated and as_numbers(column) is None and self._is_text(column):
                    self._refuse(name)
                tiers[0 if dated else 3].append([name])
            elif naming.words(name) & naming.TIMED:
                if looks_dated(column, digits=True):
                    tiers[1].append([name])
            elif called in naming.COARSE and not parted:
                tiers[2 if looks_dated(column, digits=True) else 4].append([name])
        if parted:
            tiers[2].insert(0, parted)
        found = [columns for tier in tiers[:3] for columns in tier]
        if not found:
            found += [
                [name]
                for at, name in enumerate(others)
                if looks_dated(self.frame[name], digits=at == 0)
                and (at > 0 or not self._is_number(name) or self._compact(name))
            ][:1]
        return found + [columns for tier in tiers[3:] for columns in tier]

    def _refuse(self, name: str) -> None:
        """Refuse a column whose name says that it holds dates, where it does not."""
        texts = as_texts(self.frame[name])
        if len(self._clock_columns([name])):
            return
        row = int(np.argmax(~are_holes(texts)))
        raise UserError(
            f"{self.place(row)}: the {name} '{texts[row].as_py()[:40]}' is not a date; write it "
            "like 2020-01-31, or say which column is the time: --columns time=NAME"
        )

    def _is_text(self, column: pandas.Series) -> bool:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = as_texts(column.iloc[list(spread(len(column), _LOOKED_AT))])
        texts = texts.filter(pa.array(~are_holes(texts)))
        numeric = pc.match_substring_regex(texts, r"^[-+]?\d*\.?\d+([eE][-+]?\d+)?$")
        return bool(len(texts)) and not bool(pc.any(numeric).as_py())

    def _is_number(self, name: str) -> bool:
        return not self._is_text(self.frame[name])

    def _compact(self, name: str) -> bool:
        import pyarrow.compute as pc

        texts = as_texts(self.frame[name])
        return bool(
            pc.all(
                pc.match_substring_regex(texts, r"^(19|20)\d{2}(0[1-9]|1[0-2])(\d{2})?$")
            ).as_py()
        )

    def _parted(self, others: Sequence[str]) -> list[str]:
        """Columns of year, month, day and hour, where there are at least two of them."""
        found = []
        for called in (naming.YEARS, naming.MONTHS, naming.DAYS, naming.HOURS):
            name = next((name for name in others if naming.plain(name) in called), None)
            if name is None:
                break
            found.append(name)
        return found if len(found) > 1 else []

    def _counts(self, values: np.ndarray, columns: Sequence[str]) -> bool:
        """Whether numbers can be times: each is another one, or they are called times."""
        called = naming.plain(columns[0])
        if called in naming.TIMES | naming.DATES | {"step"}:
            return True
        return len(np.unique(values)) == len(values)

    def _with_clock(self, columns: list[str], others: Sequence[str]) -> list[str]:
        """The columns and one of clock times, where dates alone stand beside one."""
        import pyarrow.compute as pc

        if len(columns) > 1 or as_numbers(self.frame[columns[0]]) is not None:
            return columns
        texts = as_texts(self._days(self.frame[columns[0]]))
        if pc.any(pc.match_substring_regex(texts, r"\d[:hH]\d|[Tt ]\d+\.\d")).as_py():
            return columns
        rest = [name for name in others if name not in columns]
        clocks = self._clock_columns(rest)
        if not clocks and pc.count_distinct(texts).as_py() < len(texts):
            clocks = [name for name in rest if naming.plain(name) in naming.HOURS]
            clocks = [name for name in clocks if self._are_hours(name)]
        return [*columns, *clocks[:1]]

    def _clock_columns(self, names: Sequence[str]) -> list[str]:
        import pyarrow.compute as pc

        found = []
        for name in names:
            column = self.frame[name]
            if as_numbers(column) is None:
                texts = as_texts(column.iloc[list(spread(len(column), _LOOKED_AT))])
                if pc.all(pc.match_substring_regex(texts, _CLOCK)).as_py():
                    found.append(name)
        return found

    def _are_hours(self, name: str) -> bool:
        import pyarrow.compute as pc

        texts = as_texts(self.frame[name])
        return bool(pc.all(pc.match_substring_regex(texts, r"^([01]?\d|2[0-4])$")).as_py())

    def _read(self, columns: Sequence[str]) -> Times | None:
        cells: Any = self.frame[columns[0]]
        if len(columns) > 1:
            cells = self._joined(columns)
        name = "+".join(columns)
        return read_times(cells, self.place, name, self.date_order, self.known_order)

    def _joined(self, columns: Sequence[str]) -> Any:
        """Texts of several columns in one: numbers of a date with dashes, those of a clock."""
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = [as_texts(self._days(self.frame[name])) for name in columns]

        def all_match(text: Any, pattern: str) -> bool:
            return bool(pc.all(pc.match_substring_regex(text, pattern)).as_py())

        holes = np.any([are_holes(text) for text in texts], axis=0)
        short = [pc.utf8_lpad(t, 2, "0") if all_match(t, r"^\d{1,2}$") else t for t in texts]
        numbers = [all_match(text, r"^\d{1,2}$") for text in texts]
        dates = 1
        if all_match(texts[0], r"^\d{4}$"):
            dates = min(3, next((i for i, n in enumerate(numbers) if i and not n), len(texts)))
        dash, colon, space, empty = (
            pa.scalar(one, pa.large_string()) for one in ("-", ":", " ", "")
        )
        found = pc.binary_join_element_wise(*short[:dates], dash)
        if short[dates:]:
            clock = pc.binary_join_element_wise(*short[dates:], colon)
            found = pc.binary_join_element_wise(found, clock, space)
        return pc.if_else(pa.array(holes), empty, found)

    def _days(self, column: pandas.Series) -> pandas.Series:
        """Dates of Python as texts without their clock."""
        import pandas

        if (
            pandas.api.types.is_datetime64_any_dtype(column.dtype)
            and not (column.dt.normalize() != column).any()
        ):
            return column.dt.strftime("%Y-%m-%d")
        return column
