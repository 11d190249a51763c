"""The ways in which dates are written, and their parts."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.data.panels.cells import to_numpy

_CLOCK = (
    r"(?:(?:[Tt ]+|, ?| - )(?P<hour>\d{1,2})(?:[:hH.](?P<minute>\d{1,2})"
    r"(?:[:.](?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?)?[hH]?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*"
    r"(?P<zone>[Zz]|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?)?)?\s*(?:\([A-Za-z ]+\))?$"
)
_WEEKDAY = r"^(?:[^\s\d.,/-]{2,12}[.,]*\s+)??"
# Letters of any language, by what is none: a class of all letters takes RE2 long to compile.
_NAME = r"(?P<name>[^\s\d.,/-]{3,12})\.?"
# Form to its pattern; a, b and c are numbers whose order says which is the day.
_FORMS: dict[str, str] = {
    "ymd": r"^(?P<a>\d{4})(?P<mark>[-/. 年])\s?(?P<b>\d{1,2})[-/. 月]\s?(?P<c>\d{1,2})日?" + _CLOCK,
    "numeric": r"^(?P<a>\d{1,2})(?P<mark>[-/. ])\s?(?P<b>\d{1,2})[-/. ]\s?(?P<c>\d{4}|\d{2})"
    + _CLOCK,
    "compact": (
        r"^(?P<a>\d{4})(?P<b>\d{2})(?P<c>\d{2})(?:[Tt _-]?(?P<hour>\d{2})(?::?(?P<minute>\d{2})"
        r"(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?\s*"
        r"(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$"
    ),
    "day name": _WEEKDAY
    + r"(?P<c>\d{1,2})(?:st|nd|rd|th|\.)?(?:\s+de|\s+of)?[-/ ]*"
    + _NAME
    + r"(?:\s+de)?[-/ ,]*(?P<a>\d{4}|\d{2})"
    + _CLOCK,
    "name day": _WEEKDAY
    + _NAME
    + r"[-/ ]*(?P<c>\d{1,2})(?:st|nd|rd|th)?[-/, ]+(?P<a>\d{4})"
    + _CLOCK,
    "year name day": r"^(?P<a>\d{4})[-/ ]" + _NAME + r"[-/ ](?P<c>\d{1,2})" + _CLOCK,
    "month": r"^(?P<a>\d{4})[-/ Mm](?P<b>\d{1,2})$",
    "month year": r"^(?P<b>\d{1,2})[-/](?P<a>\d{4})$",
    "name year": r"^" + _NAME + r"[-/ ,']*(?P<a>\d{4}|\d{2})$",
    "year name": r"^(?P<a>\d{4})[-/ ]*" + _NAME + r"$",
    "year quarter": r"^(?P<a>\d{4})[-/ :]*[QqTt](?P<quarter>[1-4])$",
    "quarter year": r"^[QqTt](?P<quarter>[1-4])[-/ ]*(?P<a>\d{4})$",
    "week": r"^(?P<a>\d{4})[-/ ]?[Ww](?P<week>\d{1,2})(?:-(?P<weekday>[1-7]))?$",
}
# Columns of nothing but digits are dates in these forms where every cell is one.
_DIGITS: dict[str, str] = {
    "compact": _FORMS["compact"],
    "compact month": r"^(?P<a>\d{4})(?P<b>\d{2})$",
    "year": r"^(?P<a>\d{4})$",
}
_YEARS = (1600, 2299)
# First letters of the months in English, German, French, Spanish, Italian, Portuguese and Dutch.
_MONTHS = (
    *(
        "jan ene gen",
        "feb fev",
        "mar mrz maa mrt",
        "apr avr abr",
        "may mai mei mag",
        "jun juin giu",
    ),
    *("jul juil lug", "aug aou ago", "sep set", "oct okt ott out", "nov", "dec dez dic"),
)
_ORDERS = {"dmy": "cba", "mdy": "cab", "ymd": "abc"}
_CHUNK = 250_000
_LOOKED_AT = 200


def orders_of(form: str, short: bool) -> tuple[str, ...]:
    """The orders of day, month and year in which a form can be read.

    Args:
        form: key of a pattern.
        short: whether years have two digits, so that one may stand at the front.
    """
    if form != "numeric":
        return ("ymd",)
    return ("dmy", "mdy", "ymd") if short else ("dmy", "mdy")


def form_of(texts: Any, *, digits: bool = False) -> str | None:
    """The form that suits most of some texts.

    Args:
        texts: Arrow array; a part of the column will do.
        digits: whether they are digits and nothing else; then every text has to suit.

    Returns:
        The form, or None where fewer than half of the texts suit any.
    """
    some = texts.take(list(spread(len(texts), _LOOKED_AT))).to_pylist()
    best, most = None, 0
    for form, pattern in (_DIGITS if digits else _FORMS).items():
        found = [re.match(pattern, text, re.ASCII) for text in some]
        right = [one for one in found if one and ("name" not in form or _month(one["name"]))]
        if digits and (len(right) < len(some) or not _sensible(texts, form)):
            continue
        if len(right) > most:
            best, most = form, len(right)
    return best if 2 * most >= max(len(some), 1) else None


def _sensible(texts: Any, form: str) -> bool:
    parts = Parts.of(texts, form)
    year = parts.numbers["a"]
    return bool(parts.valid("ymd").all() and ((year >= _YEARS[0]) & (year <= _YEARS[1])).all())


def _month(name: str) -> int:
    """The number of a month by its name in one of some languages; 0 for another word."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    for number, beginnings in enumerate(_MONTHS, 1):
        for beginning in beginnings.split():
            # June and July differ in their fourth letter in French.
            if plain.startswith(beginning) and len(plain) <= 10:
                return number
    return 0


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of dates that are written in one form.

    Attributes:
        form: key of the pattern.
        matched: `(texts,)` bool: whether a text has that form.
        numbers: part to its numbers, `(texts,)` int64, -1 where a text lacks it.
        short: whether years have two digits.
        zone: minutes that clocks are ahead of UTC, NaN where none is given.
        fraction: of a second.
        mark: what stands between numbers.
    """

    form: str
    matched: np.ndarray
    numbers: dict[str, np.ndarray]
    short: bool
    zone: np.ndarray
    fraction: np.ndarray
    mark: str = ""

    @classmethod
    def of(cls, texts: Any, form: str) -> Parts:
        """Take apart an Arrow array of texts."""
        pattern = _FORMS.get(form) or _DIGITS[form]
        pieces = [
            cls._piece(texts.slice(start, _CHUNK), pattern, form)
            for start in range(0, max(len(texts), 1), _CHUNK)
        ]
        if len(pieces) == 1:
            return pieces[0]
        return cls(
            form,
            np.concatenate([one.matched for one in pieces]),
            {k: np.concatenate([one.numbers[k] for one in pieces]) for k in pieces[0].numbers},
            any(one.short for one in pieces),
            np.concatenate([one.zone for one in pieces]),
            np.concatenate([one.fraction for one in pieces]),
            next((one.mark for one in pieces if one.mark), ""),
        )

    @classmethod
    def _piece(cls, texts: Any, pattern: str, form: str) -> Parts:
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = pc.extract_regex(texts, pattern)
        matched = to_numpy(pc.is_valid(parts))
        names = [one.name for one in parts.type]

        def text(name: str) -> Any:
            found = pc.struct_field(parts, name)
            return pc.if_else(pc.equal(found, ""), None, found)

        numbers = {
            name: to_numpy(pc.fill_null(pc.cast(text(name), pa.int64()), -1))
            for name in names
            if name in ("a", "b", "c", "hour", "minute", "second", "quarter", "week", "weekday")
        }
        if "name" in names:
            words = pc.dictionary_encode(text("name"))
            known = np.array([_month(word or "") for word in words.dictionary.to_pylist()] or [0])
            codes = to_numpy(pc.fill_null(words.indices, 0))
            numbers["b"] = known[codes]
            matched &= numbers["b"] > 0
        if "quarter" in numbers:
            numbers["b"] = 3 * numbers["quarter"] - 2
        if "half" in names:
            half = pc.utf8_lower(pc.utf8_slice_codeunits(text("half"), 0, 1))
            hour = numbers["hour"]
            late = to_numpy(pc.fill_null(pc.equal(half, "p"), False))
            early = to_numpy(pc.fill_null(pc.equal(half, "a"), False))
            numbers["hour"] = np.where(late & (hour < 12), hour + 12, hour)
            numbers["hour"][early & (hour == 12)] = 0
        years = text("c" if form == "numeric" else "a")
        lengths = to_numpy(pc.fill_null(pc.utf8_length(years), 4))
        fraction = np.zeros(len(matched))
        if "fraction" in names:
            zero, point = (pa.scalar(one, pa.large_string()) for one in ("0", "."))
            given = pc.binary_join_element_wise(zero, text("fraction"), point)
            fraction = to_numpy(pc.fill_null(pc.cast(given, pa.float64()), 0.0))
        zone = _offsets(text("zone")) if "zone" in names else np.full(len(matched), np.nan)
        mark = next((m for m in text("mark")[:1].to_pylist() if m), "") if "mark" in names else ""
        return cls(form, matched, numbers, bool((lengths == 2).any()), zone, fraction, mark)

    def valid(self, order: str) -> np.ndarray:
        """Which texts are dates of the calendar if read in an order, `(texts,)` bool."""
        year, month, day = self._date(order)
        good = self.matched & (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
        months = _months(year, np.where(good, month, 1))
        length = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
        good &= day <= length.astype(np.int64)
        hour, minute, second = (self._part(name) for name in ("hour", "minute", "second"))
        midnight = (hour == 24) & (minute == 0) & (second == 0)
        return good & ((hour < 24) | midnight) & (minute < 60) & (second <= 60)

    def seconds(self, order: str) -> np.ndarray:
        """Seconds since 1970 on the clock as written, NaN for what is no date."""
        year, month, day = self._date(order)
        good = self.valid(order)
        days = _months(year, np.where(good, month, 1)).astype("datetime64[D]").astype(np.int64)
        clock = 3600 * self._part("hour") + 60 * self._part("minute") + self._part("second")
        found = 86_400.0 * (days + day - 1) + clock + self.fraction
        return np.where(good, found, np.nan)

    def _part(self, name: str) -> np.ndarray:
        return np.maximum(self.numbers.get(name, np.zeros(len(self.matched), np.int64)), 0)

    def _date(self, order: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if "week" in self.numbers:
            return self._week()
        one = np.ones(len(self.matched), np.int64)
        found = {key: self.numbers.get(key, one) for key in "abc"}
        if self.form == "numeric":
            year, month, day = (found[key] for key in _ORDERS[order])
        else:
            year, month, day = found["a"], found["b"], found["c"]
        if self.short:
            year = np.where((year >= 0) & (year < 100), _past(year, month, day), year)
        return year, month, day

    def _week(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Year, month and day of the Monday, or of the weekday, of a week of ISO 8601."""
        year, week = self.numbers["a"], self.numbers["week"]
        fourth = _months(year, np.ones_like(year)).astype("datetime64[D]") + 3
        monday = fourth - (fourth.astype(np.int64) + 3) % 7
        weekday = np.maximum(self.numbers["weekday"], 1)
        date = monday + (7 * (week - 1) + weekday - 1)
        month = date.astype("datetime64[M]")
        number = month.astype(np.int64)
        right = (week >= 1) & (week <= 53)
        day = (date - month.astype("datetime64[D]")).astype(np.int64) + 1
        return number // 12 + 1970, number % 12 + 1, np.where(right, day, 0)


def _months(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    return ((np.clip(year, 1, 9999) - 1970) * 12 + month - 1).astype("datetime64[M]")


def _past(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Years of two digits in full, none of them such that the date is in the future."""
    today = datetime.datetime.now(datetime.UTC).date()
    ahead = 10_000 * (year + 2000) + 100 * month + day
    return year + np.where(ahead > 10_000 * today.year + 100 * today.month + today.day, 1900, 2000)


def _offsets(zones: Any) -> np.ndarray:
    """Minutes ahead of UTC of texts like "+01:00", "Z" or "UTC-5"."""
    import pyarrow.compute as pc

    coded = pc.dictionary_encode(zones)
    known = np.array([*map(_offset, coded.dictionary.to_pylist()), np.nan])
    return known[to_numpy(pc.fill_null(coded.indices, len(known) - 1))]


def _offset(zone: str) -> float:
    digits = zone.upper().removeprefix("UTC").removeprefix("GMT").replace(":", "")
    if digits in ("", "Z"):
        return 0.0
    minutes = 60 * int(digits[1:3]) + int(digits[3:] or 0)
    return float(minutes if digits[0] == "+" else -minutes)


def spread(count: int, most: int) -> Sequence[int]:
    """Some of the numbers below `count`, evenly spread, the first and the last among them."""
    if count <= most:
        return range(count)
    return np.unique(np.linspace(0, count - 1, most).astype(int)).tolist()
