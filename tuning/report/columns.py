"""Hyperparameters as columns of single values, and the axis on which each is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.report.quantities import finite
from tuning.record import SearchRecord, TrialRow
from tuning.settings import SearchSettings

_NUMBERED = re.compile(r"(.+)_\d+")


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's hyperparameters with one value each.

    Args:
        values: as in `TrialRow.values`; a hyperparameter with a value per layer is a list.

    Returns:
        The same with lists taken apart: `units` of the first layer, `units_2` of the second, ….
        Inactive hyperparameters have no entry.
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        several = value if isinstance(value, (list, tuple)) else [value]
        for number, one in enumerate(several, start=1):
            flat[name if number == 1 else f"{name}_{number}"] = one
    return flat


def searched(record: SearchRecord) -> list[str]:
    """The columns that the search varies, in the order of its space, layers side by side."""
    present = dict.fromkeys(name for row in record.trials for name in columns(row.values))
    known = record.settings.ranges
    order = {name: place for place, name in enumerate(known)}
    chosen = [name for name in present if _base(name, known) in order]
    return sorted(chosen, key=lambda name: (order[_base(name, known)], len(name), name))


def configurations(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """One row for each configuration: the longest training where Hyperband promoted it."""
    rows = list(rows)
    superseded = {row.continues for row in rows if row.status == "COMPLETED"}
    return [row for row in rows if row.id not in superseded]


@dataclass(frozen=True)
class Axis:
    """Where values of one hyperparameter lie between 0 and 1.

    Attributes:
        name: of the column.
        low, high: ends of a scale of numbers.
        log: whether it is logarithmic.
        whole: whether all values are whole numbers.
        categories: the values as texts, evenly spaced, in place of a scale.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    categories: tuple[str, ...] | None = None

    def position(self, value: Any) -> float | None:
        """Between 0 and 1; None where the value is missing or does not belong here."""
        if self.categories is not None:
            text = str(value)
            if text not in self.categories:
                return None
            return (self.categories.index(text) + 0.5) / len(self.categories)
        if not finite(value) or (self.log and value <= 0):
            return None
        low, high, at = self._scaled(self.low), self._scaled(self.high), self._scaled(value)
        return 0.5 if low == high else (at - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Positions and texts of a few values."""
        if self.categories is not None:
            return [(self.position(text) or 0.0, text) for text in self.categories]
        if self.low == self.high:
            return [(0.5, short(self.low))]
        inside = (_decades if self.log else self._steps)(self.low, self.high)
        marks = [(self.position(value) or 0.0, short(value)) for value in inside]
        ends = [(0.0, short(self.low)), (1.0, short(self.high))]
        return sorted(ends + [mark for mark in marks if 0.09 < mark[0] < 0.91])

    def _steps(self, low: float, high: float) -> list[float]:
        from matplotlib.ticker import MaxNLocator

        locator = MaxNLocator(4, steps=[1, 2, 5, 10], integer=self.whole, min_n_ticks=1)
        return [float(value) for value in locator.tick_values(low, high)]

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value


def axis(name: str, values: Sequence[Any], settings: SearchSettings) -> Axis:
    """The axis of a column.

    Args:
        name: of the column.
        values: of the trials; the axis holds all of them.
        settings: say which range was searched, and on which scale.
    """
    low, high, log, choices = read_range(range_of(name, settings))
    numeric = [value for value in values if finite(value)]
    if choices or len(numeric) < len(values):
        extra = sorted({str(value) for value in values} - set(choices))
        return Axis(name, categories=(*choices, *extra))
    ends = [*numeric, *(end for end in (low, high) if end is not None)]
    smallest, largest = min(ends, default=0.0), max(ends, default=0.0)
    whole = all(float(value).is_integer() for value in numeric)
    return Axis(name, smallest, largest, log and smallest > 0, whole)


def read_range(text: str) -> tuple[float | None, float | None, bool, tuple[str, ...]]:
    """Low, high, whether logarithmic, and choices of `low:high`, `low:high:log` or `a,b,c`."""
    low, colon, rest = text.partition(":")
    high, _, scale = rest.partition(":")
    try:
        if colon:
            return float(low), float(high), scale == "log", ()
    except ValueError:
        pass
    return None, None, False, tuple(part.strip() for part in text.split(",") if part.strip())


def short(value: Any) -> str:
    """A hyperparameter's value in few characters: `0.0021`, `128`, `2e-05`, `yes`."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(short, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"
    return str(value)


def range_of(name: str, settings: SearchSettings) -> str:
    """The range that a column was searched in, as `--space` writes it; empty where it was not."""
    return settings.ranges.get(_base(name, settings.ranges), "")


def _base(name: str, known: Mapping[str, Any]) -> str:
    """The hyperparameter that a column belongs to: `units` of `units_2`."""
    numbered = _NUMBERED.fullmatch(name)
    return numbered[1] if numbered and name not in known and numbered[1] in known else name


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    if len(powers) >= 2:
        return [10.0**power for power in powers]
    doubled = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
    return [2.0**power for power in doubled][:: max(1, len(doubled) // 4)]
