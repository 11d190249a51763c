"""A finite number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from apps.data.columns import Column
from apps.data.kind import Kind
from apps.data.raw import RawColumn

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})


def number(
    *,
    required: bool = True,
    aliases: Iterable[str] = (),
    missing: Literal["refuse", "nan"] = "refuse",
) -> Column:
    """A column of finite numbers.

    Args:
        required: whether a source without this column is refused.
        aliases: names that sources use for such a column.
        missing: whether an empty cell is refused or becomes NaN.
    """
    return Column(Number(missing), required, tuple(aliases))


@dataclass(frozen=True)
class Number(Kind):
    """A number; values are finite `float`, or NaN where an empty cell is allowed.

    Attributes:
        missing: whether an empty cell is refused (`refuse`) or becomes NaN (`nan`).
    """

    missing: Literal["refuse", "nan"] = "refuse"

    def parse(self, column: RawColumn) -> Sequence[float | None]:
        at_once = _floats(column.values)
        values = column.each(read_number) if at_once is None else at_once
        if self.missing == "nan":
            return [math.nan if value is None else value for value in values]
        return values


def read_number(value: Any) -> float | None:
    """The number in a plain value or text, None where it is empty.

    Raises:
        ValueError: it is not a finite number.
    """
    if isinstance(value, str):
        if value.strip().casefold() in _MISSING:
            return None
        # Python reads 1_000 as a number; in data it is a name.
        spelt = "x" if "_" in value else value
    else:
        spelt = value
    try:
        found = float(spelt)
    except (TypeError, ValueError, OverflowError):
        shown = repr(value[:40]) if isinstance(value, str) else f"of type {type(value).__name__}"
        raise ValueError(f"is {shown}, not a number; write it like -1234.5") from None
    if not math.isfinite(found):
        raise ValueError(f"is {value}, not a finite number; correct it, or remove the row")
    return found


def _floats(values: Sequence[Any]) -> list[float] | None:
    """All values by numpy's parser, which is many times faster; None where it cannot decide."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if array.ndim != 1 or not np.isfinite(array).all():
        return None
    if any(isinstance(value, str) and "_" in value for value in values):
        return None
    return array.tolist()
