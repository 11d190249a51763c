"""A column read as times: dates of any form, numbers of seconds, or plain numbers."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.data.panels.cells import are_holes, as_texts, to_numpy
from apps.data.panels.dates import Parts, form_of, orders_of, spread
from apps.data.panels.series import DAY
from apps.data.panels.steps import find_step
from apps.errors import UserError

if TYPE_CHECKING:
    import pandas

# Smallest number, its unit and how many of them make a second; the next one is its limit.
_EPOCHS = (
    (1e8, "seconds", 1.0),
    (1e11, "milliseconds", 1e3),
    (1e14, "microseconds", 1e6),
    (1e17, "nanoseconds", 1e9),
    (1e20, "", 0.0),
)
_LOOKED_AT = 200
_FIRST = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
# Numbers that follow one another in one reading and not in the other.
_WHOLE, _SCATTERED = 0.9, 0.6


@dataclass(frozen=True, eq=False)
class Times:
    """A column of times.

    Attributes:
        values: `(rows,)` float64: seconds since 1970, or numbers.
        dated: whether they are dates.
        zoned: whether they were given with zones and are in UTC.
        order: in which day and month were read, where that had to be decided.
        note: how they were read, for the user.
    """

    values: np.ndarray
    dated: bool
    zoned: bool = False
    order: str = ""
    note: str = ""


def looks_dated(column: pandas.Series, *, digits: bool) -> bool:
    """Whether the cells of a column are dates, judged by some of them.

    Args:
        column: its cells.
        digits: whether numbers like 20200131 or 1580428800 count.
    """
    if _instants(column) is not None:
        return True
    some = column.iloc[spread(len(column), 5 * _LOOKED_AT)]
    texts = as_texts(some)
    texts = texts.filter(_arrow(~are_holes(texts)))
    if not len(texts):
        return False
    if (numbers := _numbers(texts)) is not None:
        whole = _whole(numbers)
        dated = whole is not None and form_of(whole, digits=True) is not None
        return digits and (dated or _epoch(numbers) is not None)
    return form_of(texts) is not None


def read_times(
    column: pandas.Series | Any, place: Callable[[int], str], name: str, order: str, known: str
) -> Times | None:
    """Read a column as times.

    Args:
        column: its cells, or an Arrow array of texts.
        place: row to where it stands, for messages.
        name: of the column.
        order: of day and month, where the user said it.
        known: order that earlier tables had, for dates that leave it open.

    Returns:
        The times, or None where most cells are neither dates nor numbers.

    Raises:
        UserError: a cell is empty or is no date, or dates can be read in two ways.
    """
    if hasattr(column, "iloc"):
        if (instants := _instants(column)) is not None:
            values, zoned = instants
            _refuse_holes(np.isnan(values), place, name)
            note = "in UTC" if zoned and (values % DAY).any() else ""
            return Times(values, True, zoned, note=note)
        column = as_texts(column)
    coded = column.dictionary_encode()
    texts, codes = coded.dictionary, to_numpy(coded.indices)
    holes = are_holes(texts)
    if holes.all():
        return None
    looked = texts.filter(_arrow(~holes))
    looked = looked.take(list(spread(len(looked), _LOOKED_AT)))
    numbers = _numbers(texts.filter(_arrow(~holes)))
    form = None
    if numbers is None:
        form = form_of(looked)
        if form is None:
            return None
    _refuse_holes(holes[codes], place, name)
    if numbers is not None:
        whole = _whole(numbers)
        form = None if whole is None else form_of(whole, digits=True)
        if form is None:
            return _of_numbers(numbers[codes])
        texts = whole
    assert form is not None
    reading = _Reading(texts, codes, Parts.of(texts, form), place, name)
    return reading.times(order, known)


def _refuse_holes(holes: np.ndarray, place: Callable[[int], str], name: str) -> None:
    if holes.any():
        row = int(np.argmax(holes))
        count = int(holes.sum())
        raise UserError(
            f"{place(row)}: the time '{name}' is empty ({count} of {len(holes)} rows); "
            "fill it in, or remove the row"
        )


def _arrow(mask: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(mask)


def _numbers(texts: Any) -> np.ndarray | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        # Each text that is no number costs Arrow a message, so some are tried first.
        pc.cast(texts.take(list(spread(len(texts), _LOOKED_AT))), pa.float64())
        found = to_numpy(pc.cast(texts, pa.float64()))
    except pa.ArrowInvalid:
        return None
    return found if np.isfinite(found).all() else None


def _whole(numbers: np.ndarray) -> Any:
    """Whole numbers as texts; None where one has a fraction or is too large for a date."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if (numbers % 1).any() or (numbers < 1000).any() or (numbers > 1e14).any():
        return pa.array([], pa.large_string()) if not len(numbers) else None
    return pc.cast(pa.array(numbers.astype(np.int64)), pa.large_string())


def _epoch(numbers: np.ndarray) -> tuple[str, float] | None:
    """The unit of seconds since 1970, and how many make a second."""
    low, high = float(numbers.min()), float(numbers.max())
    for (least, unit, size), (limit, *_) in itertools.pairwise(_EPOCHS):
        if least <= low and high < limit:
            return unit, size
    return None


def _of_numbers(numbers: np.ndarray) -> Times:
    if (found := _epoch(numbers)) is not None:
        unit, size = found
        return Times(numbers / size, True, note=f"{unit} since 1970")
    return Times(numbers, False, note="plain numbers")


def _instants(column: pandas.Series) -> tuple[np.ndarray, bool] | None:
    """Seconds of a column of Python's, numpy's or pandas' dates, and whether they have zones."""
    import pandas

    kind = column.dtype
    if isinstance(kind, pandas.PeriodDtype):
        column = column.dt.to_timestamp()
    elif pandas.api.types.is_object_dtype(kind):
        there = column.dropna()
        if not len(there) or not all(isinstance(one, datetime.date) for one in there):
            return None
        zones = {getattr(one, "tzinfo", None) is not None for one in there}
        if len(zones) > 1:
            return None
        column = pandas.to_datetime(column, utc=zones.pop())
    elif not pandas.api.types.is_datetime64_any_dtype(kind):
        return None
    zoned = column.dt.tz is not None
    if zoned:
        # Days of a place stay days, whatever the time in UTC.
        local = column.dt.tz_localize(None)
        if (local != local.dt.normalize()).any():
            local = column.dt.tz_convert("UTC").dt.tz_localize(None)
        column = local
    missing = column.isna().to_numpy()
    found = column.to_numpy("datetime64[ns]").astype(np.int64)
    whole, rest = np.divmod(found, 1_000_000_000)
    return np.where(missing, np.nan, whole + rest / 1e9), zoned


@dataclass(frozen=True, eq=False)
class _Reading:
    """Dates of one form.

    Attributes:
        texts: each date once, in the order in which they come.
        codes: of the rows.
        parts: of the texts.
        place: row to where it stands.
        name: of the column.
    """

    texts: Any
    codes: np.ndarray
    parts: Parts
    place: Callable[[int], str]
    name: str

    def times(self, order: str, known: str) -> Times:
        orders = orders_of(self.parts.form, self.parts.short)
        decided = len(orders) > 1
        why = ""
        if order and decided:
            chosen = order if order in orders else "dmy"
        else:
            chosen, why = self._choose(orders, known)
        bad = ~self.parts.valid(chosen)
        if bad.any():
            raise self._wrong(bad, chosen)
        seconds = self.parts.seconds(chosen)
        zones = self.parts.zone
        zoned = ~np.isnan(zones)
        note = ""
        if decided:
            note = f"{_FIRST[chosen]}{why}: {self._shown(0, chosen)}"
        if zoned.any():
            if not zoned.all():
                raise self._half_zoned(zoned)
            # Days of a place stay days, whatever the time in UTC.
            if (seconds % DAY).any():
                seconds, note = seconds - 60 * zones, "; ".join(filter(None, (note, "in UTC")))
        return Times(seconds[self.codes], True, bool(zoned.any()), chosen if decided else "", note)

    def _choose(self, orders: Sequence[str], known: str) -> tuple[str, str]:
        """The order of day and month, and why."""
        if len(orders) == 1:
            return orders[0], ""
        valid = {order: self.parts.valid(order) for order in orders}
        most = max(int(good.sum()) for good in valid.values())
        able = [order for order in orders if valid[order].all()]
        if not able:
            mixed = [order for order in orders[:2] if valid[order].any()]
            only = {
                order: np.flatnonzero(valid[order] & ~valid[other])
                for order, other in zip(mixed, mixed[::-1], strict=False)
            }
            if len(mixed) == 2 and all(len(rows) for rows in only.values()):
                either = [self._named(int(only[order][0])) for order in ("dmy", "mdy")]
                raise UserError(
                    f"{either[0]} can only have its day first, {either[1]} its month; "
                    "write all dates in one way"
                )
            return next(order for order in orders if int(valid[order].sum()) == most), ""
        if len(able) == 1:
            return able[0], ""
        if known in able:
            return known, " as in the data that were learnt from"
        if self.parts.mark == "." and "dmy" in able:
            return "dmy", " as points between say"
        following = self._following(able)
        if len(following) == 1:
            return following[0], " since rows follow one another that way only"
        plain = [order for order in able if order != "ymd"] if len(able) > 2 else able
        row, readings = self._two_ways(plain)
        raise UserError(
            f"{self._named(row)} can be read in two ways, as {' or as '.join(readings)}; "
            f"say which: --set date_order={plain[0]} or --set date_order={plain[1]}"
        )

    def _following(self, orders: Sequence[str]) -> list[str]:
        """The orders in which the dates follow one another in steps."""
        if len(self.texts) < 3:
            return []
        seconds = {order: self.parts.seconds(order) for order in orders}
        rising = [o for o in orders if _one_way(seconds[o])]
        if len(rising) == 1:
            return rising
        among = rising or list(orders)
        shares = {order: _share(seconds[order]) for order in among}
        whole = [order for order in among if shares[order] >= _WHOLE]
        if len(whole) == 1 and all(s < _SCATTERED for o, s in shares.items() if o not in whole):
            return whole
        return []

    def _two_ways(self, orders: Sequence[str]) -> tuple[int, list[str]]:
        readings = np.stack([self.parts.seconds(order) for order in orders])
        row = int(np.argmax(np.ptp(readings, axis=0) > 0))
        return row, [day_of(value) for value in readings[:, row]]

    def _shown(self, code: int, order: str) -> str:
        seconds = self.parts.seconds(order)[code]
        return f"'{self.texts[code].as_py()}' is {moment(float(seconds))}"

    def _named(self, code: int) -> str:
        row = int(np.argmax(self.codes == code))
        return f"{self.place(row)}: the {self.name} '{self.texts[code].as_py()[:40]}'"

    def _wrong(self, bad: np.ndarray, order: str) -> UserError:
        rows = bad[self.codes]
        code = int(self.codes[np.argmax(rows)])
        good = np.flatnonzero(~bad)
        like = f" like '{self.texts[int(good[0])].as_py()}'" if len(good) else ""
        said = f", {_FIRST[order]}" if self.parts.form == "numeric" else ""
        return UserError(
            f"{self._named(code)} is not a date{like}{said} ({int(rows.sum())} of {len(rows)} "
            "rows); correct it, or remove the row"
        )

    def _half_zoned(self, zoned: np.ndarray) -> UserError:
        with_one, without = (int(np.argmax(mask)) for mask in (zoned, ~zoned))
        return UserError(
            f"{self._named(with_one)} has a zone, {self._named(without)} has none; "
            "write all of them in one way"
        )


def _one_way(seconds: np.ndarray) -> bool:
    apart = np.diff(seconds)
    return bool((apart > 0).all() or (apart < 0).all())


def _share(seconds: np.ndarray) -> float:
    """The share of the rows that a regular step would have between the first and the last one."""
    times = np.unique(seconds)
    inner = np.ones(len(times) - 1, bool)
    step = find_step(times, inner, True)
    if step is None or not step.regular:
        return 0.0
    return float(len(times) / (step.between(times).sum() + 1))


def day_of(seconds: float) -> str:
    """The date of a time, as ISO 8601."""
    return str(np.datetime64(int(seconds // DAY), "D"))


def moment(seconds: float) -> str:
    """A time as ISO 8601, without the clock at midnight."""
    if seconds % DAY == 0:
        return day_of(seconds)
    unit = "m" if seconds % 60 == 0 else "s" if seconds % 1 == 0 else "ms"
    stamp = np.datetime64(round(seconds * 1000), "ms").astype(f"datetime64[{unit}]")
    return str(stamp).replace("T", " ")
