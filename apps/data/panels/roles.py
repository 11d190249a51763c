"""Which column is a target, a covariate, an id; and the numbers of those that are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.data.panels import naming
from apps.data.panels.cells import are_holes, as_texts, to_numpy
from apps.data.panels.clock import looks_dated
from apps.data.panels.numerals import Numerals, read_numerals
from apps.data.panels.series import Channels
from apps.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas

COVARIATES = ("past", "future", "static")
# A text column with more values than that has no channel for each.
_MOST_CATEGORIES = 100


@dataclass(frozen=True, eq=False)
class Values:
    """The channels of one role.

    Attributes:
        names: of the channels.
        values: `(rows, channels)` float64, NaN for holes.
    """

    names: tuple[str, ...]
    values: np.ndarray


@dataclass(eq=False)
class Roles:
    """Gives the columns of a table their roles, and reads them.

    Attributes:
        frame: the table.
        source: for messages.
        place: row to where it stands.
        taken: role to columns, as the user said it or as a model knows it.
        known: what a model knows, None where it is to be learnt.
        say: takes a line for the user.
        decimal: the mark that the user names.
        likely: the mark where nothing tells.
        bare: whether the one column has no name of its own.
        categories: text columns that were read, and their values.
        found_decimal: the mark that was found, where it is a comma.
        called: column to the name that a model has for it.
    """

    frame: pandas.DataFrame
    source: str
    place: Callable[[int], str]
    taken: dict[str, list[str]]
    known: Channels | None
    say: Callable[[str], None]
    decimal: str
    likely: str
    bare: bool = False
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    found_decimal: str = ""
    called: dict[str, str] = field(default_factory=dict)

    def read(self, free: Sequence[str]) -> dict[str, Values]:
        """The values of targets and covariates.

        Args:
            free: columns without a role, from which targets are taken where none are named.
        """
        known, open_ = self.known, "target" not in self.taken
        if known is not None:
            self._require(known)
        wanted = [name for role in ("target", *COVARIATES) for name in self.taken.get(role, ())]
        searched = list(free) if open_ and known is None else []
        numerals = read_numerals(
            {name: self.frame[name] for name in [*wanted, *searched]}, self.decimal, self.likely
        )
        if known is None:
            self._choose(numerals, free, open_)
        self._note(numerals)
        targets = self.taken["target"]
        for name in targets:
            self._check(name, numerals[name], "target")
        names = tuple(known.targets if known is not None else targets)
        found = {"target": Values(names, _stacked([numerals[n].values for n in targets]))}
        for role in COVARIATES:
            found[role] = self._covariates(role, numerals)
        if known is not None:
            for role in COVARIATES:
                found[role] = _aligned(found[role], getattr(known, role))
        return found

    def _require(self, known: Channels) -> None:
        """Give the columns of a model their roles.

        Raises:
            UserError: one is missing.
        """
        columns = list(self.frame.columns)
        if self.bare and len(columns) == len(known.targets) == 1:
            self.taken.setdefault("target", columns)
        for role, names in (
            ("target", known.targets),
            *((role, sources(getattr(known, role), known.categories)) for role in COVARIATES),
        ):
            if role in self.taken and len(self.taken[role]) == len(names):
                self.called.update(zip(self.taken[role], names, strict=True))
                continue
            self.taken[role] = []
            for name in names:
                column = naming.alike(name, columns)
                if column is None:
                    raise UserError(
                        f"{self.source} has no column '{name}', a {_CALLED[role]} of the data that "
                        f"were learnt from{nearest(name, columns)}"
                    )
                self.taken[role].append(column)
                self.called[column] = name

    def _choose(self, numerals: Mapping[str, Numerals], free: Sequence[str], open_: bool) -> None:
        """Take the numeric columns as targets where none is named; drop those that say nothing."""
        if not open_:
            passed = [name for name in free if name]
            if passed:
                self.say(f"{self.source}: without a role, not used: {naming.listed(passed)}")
        else:
            texts = [n for n in free if not (numerals[n].numeric or numerals[n].empty)]
            counts = [n for n in free if n not in texts and _counts_rows(n, numerals[n].values)]
            dates = [n for n in free if n not in texts and _is_time(n, self.frame[n])]
            passed_over = {*texts, *counts, *dates}
            self.taken["target"] = [n for n in free if n not in passed_over]
            if dates:
                self.say(f"{self.source}: further times, not used: {naming.listed(dates)}")
            if counts:
                self.say(f"{self.source}: {naming.listed(counts)} counts rows and is no target")
            if texts:
                self.say(
                    f"{self.source}: texts, not used: {naming.listed(texts)}; a role makes "
                    "channels of them: --columns past=NAME or future=NAME or static=NAME"
                )
        dull = {name: self._dull(numerals[name]) for name in self.taken["target"]}
        alive = [name for name, why in dull.items() if not why]
        if not alive:
            if not dull:
                raise UserError(
                    f"{self.source} has no column of numbers; its columns are "
                    f"{naming.listed(list(self.frame.columns))}; "
                    "say which is the target: --columns target=NAME"
                )
            name, why = next(iter(dull.items()))
            raise UserError(
                f"{self.source}: no column of numbers that changes, '{name}' is {why}; "
                "there is nothing to learn; name another target: --columns target=NAME"
            )
        for name, why in dull.items():
            if why:
                self.say(f"{self.source}: the target '{name}' is {why} and is left out")
        self.taken["target"] = alive

    def _dull(self, numerals: Numerals) -> str:
        if numerals.wrong.any() or numerals.infinite.any():
            return ""
        there = numerals.values[~np.isnan(numerals.values)]
        if not len(there):
            return "empty"
        return f"always {there[0]:g}" if (there == there[0]).all() and len(there) > 1 else ""

    def _check(self, name: str, numerals: Numerals, role: str) -> None:
        """Refuse a cell that is no finite number."""
        if numerals.wrong.any():
            row = int(np.argmax(numerals.wrong))
            cell = as_texts(self.frame[name].iloc[row : row + 1])[0].as_py()
            raise UserError(
                f"{self.place(row)}: the {role} '{name}' is '{cell[:40]}', not a number "
                f"({int(numerals.wrong.sum())} of {len(numerals.wrong)} rows); correct it, or "
                "empty the cell"
            )
        if numerals.infinite.any():
            row = int(np.argmax(numerals.infinite))
            raise UserError(
                f"{self.place(row)}: the {role} '{name}' is infinite; correct it, or empty the cell"
            )
        if numerals.mixed_percent:
            raise UserError(
                f"{self.source}: some cells of '{name}' are percents and others are not; "
                "write them in one way"
            )

    def _note(self, numerals: Mapping[str, Numerals]) -> None:
        used = {name for names in self.taken.values() for name in names}
        notes: dict[str, list[str]] = {}
        texts: dict[str, str] = {}
        for name, one in numerals.items():
            if name in used:
                self.found_decimal = self.found_decimal or one.decimal
                for kind, text in one.notes.items():
                    notes.setdefault(kind, []).append(name)
                    texts.setdefault(kind, text)
        for kind, names in notes.items():
            self.say(f"{self.source}: {naming.listed(names)}: {texts[kind]}")

    def _covariates(self, role: str, numerals: Mapping[str, Numerals]) -> Values:
        names: list[str] = []
        columns: list[np.ndarray] = []
        for name in self.taken.get(role, ()):
            one = numerals[name]
            known = self.known.categories if self.known is not None else None
            called = self.called.get(name, name)
            text = not (one.numeric or one.empty) if known is None else called in known
            if not text:
                self._check(name, one, _CALLED[role])
                names.append(called)
                columns.append(one.values)
                continue
            for value, channel in self._categories(name, role):
                names.append(f"{called}={value}")
                columns.append(channel)
        return Values(tuple(names), _stacked(columns, len(self.frame)))

    def _categories(self, name: str, role: str) -> list[tuple[str, np.ndarray]]:
        """A channel of 0 and 1 for each value of a text column."""
        texts = as_texts(self.frame[name])
        holes = are_holes(texts)
        coded = texts.dictionary_encode()
        words, codes = coded.dictionary.to_pylist(), to_numpy(coded.indices)
        there = sorted({words[code] for code in np.unique(codes[~holes])})
        values = there if self.known is None else list(self.known.categories[self.called[name]])
        if len(values) > _MOST_CATEGORIES:
            raise UserError(
                f"{self.source}: the {_CALLED[role]} '{name}' has {len(values)} different texts; "
                f"at most {_MOST_CATEGORIES} become channels; leave it out, or write it as numbers"
            )
        unseen = sorted(set(there) - set(values))
        if unseen:
            self.say(
                f"{self.source}: '{name}' has values that were never learnt from: "
                f"{naming.listed(unseen)}; they count as none of the known ones"
            )
        self.categories[name] = tuple(values)
        found = []
        for value in values:
            hits = codes == (words.index(value) if value in words else -1)
            found.append((value, np.where(holes, np.nan, hits.astype(np.float64))))
        return found


_CALLED = {
    "target": "target",
    "past": "past covariate",
    "future": "future covariate",
    "static": "static feature",
}


def sources(channels: Sequence[str], categories: Mapping[str, Sequence[str]]) -> list[str]:
    """The columns that some channels come from."""
    owners = {f"{column}={value}": column for column, some in categories.items() for value in some}
    return list(dict.fromkeys(owners.get(channel, channel) for channel in channels))


def _stacked(columns: Sequence[np.ndarray], rows: int = 0) -> np.ndarray:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0))


def _aligned(values: Values, names: Sequence[str]) -> Values:
    """The channels under the names and in the order of a model."""
    if len(values.names) == len(names) and set(values.names) == set(names):
        order = [values.names.index(name) for name in names]
        return Values(tuple(names), values.values[:, order])
    return Values(tuple(names), values.values)


def _counts_rows(name: str, values: np.ndarray) -> bool:
    """Whether a column is the number of the row."""
    return (
        naming.plain(name).rstrip("0123456789") in naming.COUNTERS | {""}
        and len(values) > 1
        and bool((np.diff(values) == 1).all())
    )


def _is_time(name: str, column: pandas.Series) -> bool:
    """Whether a column is called a time and holds such, as when something ended."""
    return bool(naming.words(name) & naming.TIMED) and looks_dated(column, digits=True)


def series_codes(frame: pandas.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """The series of each row.

    Args:
        frame: the table.
        columns: that together name a series; without any, all rows are one.

    Returns:
        `(rows,)` int64, and the names of the series in the order in which they come.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not columns:
        return np.zeros(len(frame), np.int64), [""]
    texts: list[Any] = [as_texts(frame[name]) for name in columns]
    whole = (
        texts[0]
        if len(texts) == 1
        else pc.binary_join_element_wise(*texts, pa.scalar("/", pa.large_string()))
    )
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.combine_chunks()
    coded = whole.dictionary_encode()
    return to_numpy(coded.indices).astype(np.int64), coded.dictionary.to_pylist()
