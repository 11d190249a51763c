"""Numbers as people and programs write them: decimal commas, thousands, currencies, percents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from apps.data.panels.cells import are_holes, as_numbers, as_texts, to_numpy
from apps.data.panels.dates import spread

if TYPE_CHECKING:
    import pandas

Decimal = Literal["", ".", ","]

_TRUE = ("true", "yes", "y", "t", "on")
_FALSE = ("false", "no", "n", "f", "off")
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_INFINITE = r"(?i)^[-+]?inf(inity)?$"
_CURRENCY = r"^([-+(]*)\s*(?:US\$|USD|EUR|GBP|CHF|[$€£¥₹])\s*|\s*(?:USD|EUR|GBP|CHF|[$€£¥₹])(\)?)$"
_SUFFIX = r"(?i)^(.*\d[.,]?)\s*(k|m|mn|mio|b|bn|t|tn)$"
_SCALES = {"k": 1e3, "m": 1e6, "mn": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12, "tn": 1e12}
# From this share on a column is one of numbers, in which a text is a mistake.
_MOSTLY = 0.5
_LOOKED_AT = 1000


@dataclass(frozen=True, eq=False)
class Numerals:
    """A column read as numbers.

    Attributes:
        values: `(rows,)` float64, NaN for holes and for what is no number.
        wrong: `(rows,)` bool: cells that are neither a number nor a hole.
        infinite: `(rows,)` bool.
        notes: what a user should know of how cells were read, by its kind.
        decimal: the mark, where a column had one that is not a matter of course.
        mixed_percent: whether some cells are percents and others are not.
    """

    values: np.ndarray
    wrong: np.ndarray
    infinite: np.ndarray
    notes: Mapping[str, str] = field(default_factory=dict)
    decimal: Decimal = ""
    mixed_percent: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the column is one of numbers, although some cells may be wrong."""
        right = np.count_nonzero(~np.isnan(self.values))
        wrong = np.count_nonzero(self.wrong)
        return bool(right > 0 and right >= _MOSTLY * (right + wrong))

    @property
    def empty(self) -> bool:
        """Whether there is no value at all."""
        return bool(np.isnan(self.values).all() and not self.wrong.any())


def read_numerals(
    columns: Mapping[str, pandas.Series], decimal: str, likely: str
) -> dict[str, Numerals]:
    """Read columns as numbers; all columns of a table write them in one way.

    Args:
        columns: name to cells.
        decimal: the mark before decimals, "" where it is to be found out.
        likely: the mark where nothing but numbers like "1,234" are there.

    Returns:
        Name to what was read, also for columns of texts.
    """
    found: dict[str, Numerals] = {}
    written: dict[str, _Written] = {}
    for name, column in columns.items():
        numbers = as_numbers(column)
        texts = None
        if numbers is None:
            texts = as_texts(column)
            numbers = None if decimal == "," else _plain(texts)
        if numbers is None:
            written[name] = _Written.of(texts)
        else:
            infinite = np.isinf(numbers)
            found[name] = Numerals(numbers, np.zeros(len(numbers), bool), infinite)
    marks = {one.mark for one in written.values()}
    if "?" in marks and any(_has_points(columns[name]) for name in found):
        marks.add(".")
    comma = "," in marks and "." not in marks
    point = "." in marks and "," not in marks
    if comma and not decimal:
        # In a table of decimal commas 1.234 has a point for thousands.
        for name in list(found):
            column = columns[name]
            if as_numbers(column) is None and _Written.of(as_texts(column)).thousands_points:
                written[name] = _Written.of(as_texts(column))
    for name, one in written.items():
        found[name] = one.read(decimal or ("." if point and one.mark == "?" else ""), comma, likely)
    return {name: found[name] for name in columns}


def _has_points(column: pandas.Series) -> bool:
    """Whether some cells of a column have a decimal point, which is not one for thousands."""
    import pyarrow.compute as pc

    if as_numbers(column) is not None:
        return False
    texts = as_texts(column)
    points = pc.any(pc.match_substring(texts, ".")).as_py()
    return bool(points) and not _Written.of(texts).thousands_points


def _plain(texts: Any) -> np.ndarray | None:
    """The numbers of texts that are all plain numbers or holes, else None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Each cell that is no number costs Arrow a message, so some are tried first.
    few = texts.take(list(spread(len(texts), _LOOKED_AT)))
    holes = are_holes(few)
    try:
        pc.cast(few.filter(pa.array(~holes)), pa.float64())
        if not holes.any():
            return to_numpy(pc.cast(texts, pa.float64()))
    except pa.ArrowInvalid:
        if not holes.any() and len(few) == len(texts):
            return None
    some = pc.if_else(pa.array(are_holes(texts)), None, texts)
    try:
        pc.cast(some.take(list(spread(len(some), _LOOKED_AT))), pa.float64())
        return to_numpy(pc.fill_null(pc.cast(some, pa.float64()), np.nan))
    except pa.ArrowInvalid:
        return None


@dataclass(frozen=True, eq=False)
class _Written:
    """Cells rid of signs, currencies and suffixes, with what those said.

    Attributes:
        texts: Arrow array of digits and marks.
        holes: `(rows,)` bool.
        scale: `(rows,)` float64.
        percent: `(rows,)` bool.
        mark: the decimal mark: ".", ",", "" where no cell has one, "?" where it may be either.
    """

    texts: Any
    holes: np.ndarray
    scale: np.ndarray
    percent: np.ndarray
    mark: str

    @classmethod
    def of(cls, texts: Any) -> _Written:
        import pyarrow as pa
        import pyarrow.compute as pc

        holes = are_holes(texts)
        scale = np.ones(len(texts))
        clean = to_numpy(pc.match_substring_regex(texts, r"^-?[\d.,]+$")) | holes
        if clean.all():
            return cls(texts, holes, scale, np.zeros(len(texts), bool), _mark(texts))
        bare = pc.replace_substring_regex(texts, "[\u2212\u2013]", "-")
        percent = to_numpy(pc.match_substring_regex(bare, r"^.*\d.*%\)?$"))
        if percent.any():
            bare = pc.replace_substring_regex(bare, r"\s*%", "")
        bare = pc.replace_substring_regex(bare, _CURRENCY, r"\1\2")
        negative = to_numpy(pc.match_substring_regex(bare, r"^\(.*\d.*\)$|^\d.*\d?-$"))
        scale[negative] = -1.0
        bare = pc.replace_substring_regex(bare, r"^\((.*\d.*)\)$|^(\d.*)-$", r"\1\2")
        bare = pc.replace_substring_regex(bare, _CURRENCY, r"\1\2")
        if pc.any(pc.match_substring_regex(bare, _SUFFIX)).as_py():
            parts = pc.extract_regex(bare, r"(?i)^(?P<n>.*\d[.,]?)\s*(?P<s>k|m|mn|mio|b|bn|t|tn)$")
            suffix = pc.utf8_lower(pc.struct_field(parts, "s"))
            for name, size in _SCALES.items():
                scale[to_numpy(pc.fill_null(pc.equal(suffix, name), False))] *= size
            bare = pc.coalesce(pc.struct_field(parts, "n"), bare)
        bare = pc.replace_substring_regex(bare, r"^\+", "")
        for _ in range(2):  # Groups of three share their digits with the space before.
            bare = pc.replace_substring_regex(bare, "(\\d)[ \u00a0\u2009\u202f'’](\\d{3})", r"\1\2")
        if isinstance(bare, pa.ChunkedArray):
            bare = bare.combine_chunks()
        return cls(bare, holes, scale, percent, _mark(bare))

    @property
    def thousands_points(self) -> bool:
        """Whether points stand before groups of three digits, and nowhere else."""
        import pyarrow.compute as pc

        points = pc.match_substring(self.texts, ".")
        grouped = pc.match_substring_regex(self.texts, r"^-?\d{1,3}(\.\d{3})+$")
        return bool(pc.any(points).as_py() and pc.all(pc.equal(points, grouped)).as_py())

    def read(self, decimal: str, comma: bool, likely: str) -> Numerals:
        """The numbers.

        Args:
            decimal: the mark if the user says which.
            comma: whether other columns have a decimal comma, and none a decimal point.
            likely: the mark where nothing tells.
        """
        import pyarrow.compute as pc

        notes: dict[str, str] = {}
        mark = decimal or self.mark
        if mark == "?":
            mark = "," if comma else likely
            example = self._example(",")
            number = float(example.replace(",", "." if mark == "," else ""))
            other = "." if mark == "," else ","
            notes[f"{mark}?"] = f"'{example}' is read as {number:g}; else --set decimal={other}"
        elif comma and not decimal and self.thousands_points:
            mark = ","
        elif mark == "," and not decimal:
            notes[mark] = f"decimal commas, as in '{self._example(',')}'"
        texts = self.texts
        if mark == ",":
            texts = pc.replace_substring(texts, ".", "")
            texts = pc.replace_substring(texts, ",", ".")
        else:
            texts = pc.replace_substring_regex(texts, r",(\d{3})", r"\1")
            if self.mark == "." and not decimal and self._points():
                texts = pc.replace_substring(texts, ".", "")
        values, right = _floats(texts, self.holes)
        values, right = self._truths(values * self.scale, right)
        infinite = np.isinf(values)
        if not (right | self.holes).all():
            infinite |= to_numpy(pc.match_substring_regex(texts, _INFINITE)) & ~self.holes
        wrong = ~right & ~self.holes & ~infinite
        percent = self.percent & right
        mixed = bool(percent.any() and not percent[right].all())
        if percent.any() and not mixed:
            values = values / 100
            notes["%"] = "percents are read as fractions, 3.5% as 0.035"
        if (np.abs(self.scale[right]) > 1).any():
            notes["K"] = "K, M and B are read as thousands, millions and billions"
        return Numerals(values, wrong, infinite, notes, "," if mark == "," else "", mixed)

    def _truths(self, values: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns of nothing but yes and no as 1 and 0."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if right.any():
            return values, right
        lower = pc.utf8_lower(self.texts)
        yes = to_numpy(pc.is_in(lower, value_set=pa.array(_TRUE, pa.large_string())))
        no = to_numpy(pc.is_in(lower, value_set=pa.array(_FALSE, pa.large_string())))
        if not (yes | no | self.holes).all():
            return values, right
        return np.where(yes, 1.0, np.where(no, 0.0, np.nan)), yes | no

    def _points(self) -> bool:
        """Whether a cell has several points, which then are for thousands."""
        import pyarrow.compute as pc

        return bool(pc.any(pc.match_substring_regex(self.texts, r"^-?\d+\.\d{3}\.")).as_py())

    def _example(self, mark: str) -> str:
        import pyarrow.compute as pc

        return self.texts.filter(pc.match_substring(self.texts, mark))[0].as_py()


def _floats(texts: Any, holes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of texts, NaN for holes and for other texts, and where there is one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    some = pc.if_else(pa.array(holes), None, texts)
    try:
        values = to_numpy(pc.fill_null(pc.cast(some, pa.float64()), np.nan))
        if np.isfinite(values[~holes]).all():
            return values, ~holes
    except pa.ArrowInvalid:
        pass
    right = to_numpy(pc.match_substring_regex(texts, _NUMBER)) & ~holes
    numbers = pc.cast(pc.if_else(pa.array(right), texts, None), pa.float64())
    return to_numpy(pc.fill_null(numbers, np.nan)), right


def _mark(texts: Any) -> str:
    """The decimal mark of a column of numbers; some of them may prove it already."""
    import pyarrow.compute as pc

    if len(texts) > 2 * _LOOKED_AT:
        few = texts.take(list(spread(len(texts), _LOOKED_AT)))
        if pc.any(pc.match_substring_regex(few, r"^-?[\d.]*\d\.\d{3},\d+$")).as_py():
            return ","
        if pc.any(pc.match_substring_regex(few, r"^-?[\d,]*\d,\d{3}\.\d+$")).as_py():
            return "."
    numbers = texts.filter(pc.match_substring_regex(texts, r"^-?[\d.,]*\d[\d.,]*([eE][-+]?\d+)?$"))

    def some(pattern: str) -> bool:
        return bool(pc.any(pc.match_substring_regex(numbers, pattern)).as_py())

    if some(r"\..*,"):
        return ","
    if some(r",.*\."):
        return "."
    if not some(","):
        return "." if some(r"\.") else ""
    # Only thousands come in several groups of three.
    if some(r",\d+,"):
        return "."
    if not some(r"^-?\d{1,3},\d{3}$") or some(r",(\d{0,2}|\d{4,})([eE].*)?$") or some(r"\d{4},"):
        return ","
    if some(r"^-?0,"):
        return ","
    return "?"
