"""The step of rows: hours, working days, months, or none that is regular."""

from __future__ import annotations

import numpy as np

from apps.data.panels.series import DAY, Step, shifted

_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_QUARTERS = ("OCT", "NOV", "DEC")
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_UNITS = (("D", DAY), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
# Share of neighbours that have to lie whole steps apart, and share that has to lie one step apart.
_WHOLE, _NEXT = 0.95, 0.5
# A holiday puts a weekly row off by a day.
_JITTER = 0.15
# More rows than that, for each that is there, are not filled in.
_MOST = 20
# So many working days in a row without any row are holidays: Golden Week, Chinese New Year.
HOLIDAYS = 7


def find_step(times: np.ndarray, inner: np.ndarray, dated: bool) -> Step | None:
    """The step that most neighbours are apart.

    Args:
        times: `(rows,)` of all series, rising in each.
        inner: `(rows - 1,)` bool: whether a row and the next one are of the same series.
        dated: whether they are seconds since 1970.

    Returns:
        The step, not regular where rows follow no clock; None where no series has two rows.
    """
    apart = np.diff(times)[inner]
    if not len(apart):
        return None
    if dated:
        for step in _calendar(times, apart):
            if fits(step, times, inner):
                return step
    size = _commonest(apart)
    step = Step(_alias(size, times) if dated else "", size, dated, True)
    if fits(step, times, inner):
        return step
    return Step("", float(np.median(apart)), dated, False)


def fits(step: Step, times: np.ndarray, inner: np.ndarray) -> bool:
    """Whether rows follow one another in whole steps, most of them in single ones."""
    count = step.between(times)[inner]
    if not len(count):
        return True
    good = count >= 1
    if step.months or step.alias == "B":
        index = np.flatnonzero(inner)
        reached = step.later(times[index], count)
        # A month's 30th is followed by the 28th of February and by the 30th of March.
        slack = 3 * DAY if step.months else 0.0
        good &= np.abs(reached - times[index + 1]) <= slack
        if step.alias == "B":
            good &= _weekday(times[index + 1]) < 5
    else:
        apart = np.diff(times)[inner]
        good &= np.abs(apart - count * step.size) <= _JITTER * step.size
    single = (count == 1) if step.alias != "B" else (count >= 1) & (count <= HOLIDAYS)
    few = count.sum() <= _MOST * len(count) + 1000
    return bool(good.mean() >= _WHOLE and single.mean() >= _NEXT and few)


def _calendar(times: np.ndarray, apart: np.ndarray) -> list[Step]:
    """Steps of months or of working days that may be meant."""
    if (np.ptp(times % DAY) > 0) or np.median(apart) < DAY:
        return []
    usual = float(np.median(apart)) / DAY
    if usual >= 28:
        return _monthly(times, usual)
    weekday = _weekday(times)
    if usual == 1 and weekday.max() < 5 and (np.rint(apart / DAY) == 3).any():
        return [Step("B", DAY, True, True)]
    return []


def _monthly(times: np.ndarray, usual: float) -> list[Step]:
    count = round(usual / 30.4375)
    if not count:
        return []
    zero = np.zeros(1, np.int64)

    def all_are(alias: str) -> bool:
        return bool((shifted(times, zero, alias) == times).all())

    end = all_are("ME")
    unit = "ME" if end else "MS"
    if not end:
        day = (times.astype("datetime64[s]").astype("datetime64[D]")).astype(np.int64)
        month = times.astype("datetime64[s]").astype("datetime64[M]")
        if np.ptp(day - month.astype("datetime64[D]").astype(np.int64)):
            unit = next((alias for alias in ("BMS", "BME") if all_are(alias)), "MS")
    month = times.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12
    size = count * 30.4375 * DAY
    alias = unit if count == 1 else f"{count}{unit}"
    if unit in ("MS", "ME") and count == 3:
        alias = f"Q{unit[1]}-{_QUARTERS[int(month[0]) % 3]}"
    elif unit in ("MS", "ME") and count == 12:
        alias = f"Y{unit[1]}-{_MONTHS[int(month[0])]}"
    return [Step(alias, size, True, True)]


def _weekday(times: np.ndarray) -> np.ndarray:
    """0 is Monday."""
    return (np.floor(times / DAY).astype(np.int64) + 3) % 7


def _commonest(apart: np.ndarray) -> float:
    """The distance that is there most often, the smallest of several."""
    digits = 6 - int(np.floor(np.log10(max(float(np.median(apart)), 1e-300))))
    found, count = np.unique(np.round(apart, digits), return_counts=True)
    return float(found[np.argmax(count)])


def _alias(size: float, times: np.ndarray) -> str:
    if size == 7 * DAY:
        return f"W-{_WEEKDAYS[int(_weekday(times[:1])[0])]}"
    for unit, seconds in _UNITS:
        count = size / seconds
        if count >= 1 and abs(count - round(count)) < 1e-9 * count:
            return unit if round(count) == 1 else f"{round(count)}{unit}"
    return f"{round(size / 1e-6)}us"


def alike(step: Step, known: Step) -> bool:
    """Whether two steps are as long; weeks may begin on other days, months too."""
    if step.dated != known.dated:
        return False
    if not (step.regular and known.regular):
        return step.regular == known.regular
    if step.months or known.months:
        return step.months == known.months
    return (step.alias == "B") == (known.alias == "B") and bool(
        abs(step.size - known.size) <= 0.01 * known.size
    )
