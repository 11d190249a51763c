"""How many rows a season has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.data.panels.series import DAY, Step, TimeSeries

# Rows of a year, for steps that are made of months, weeks or working days.
_YEARLY = {"W": 52, "B": 5}
_LEAST_CORRELATION = 0.3
_SAMPLED, _SERIES = 20_000, 20


def season_of(series: Sequence[TimeSeries]) -> int:
    """Rows of the shortest season that series of such a step usually have; 1 for none.

    Dates tell it: a day of hours, a week of days or working days, a year of weeks, months or
    quarters. Of plain numbers it is where the autocorrelation has its first high maximum.

    Args:
        series: at least one; all have one step.
    """
    step = series[0].step
    if step.dated and step.regular:
        return _of_dates(step)
    found = [_of_numbers(one.targets[: one.last]) for one in series[:_SERIES]]
    return int(np.median([season for season in found if season > 1] or [1]))


def _of_dates(step: Step) -> int:
    if step.months:
        return max(12 // step.months, 1)
    for unit, rows in _YEARLY.items():
        if step.alias.split("-")[0] == unit:
            return rows
    per_day = DAY / step.size
    if per_day >= 2:
        return round(per_day)
    return max(round(7 * DAY / step.size), 1) if step.size <= 3.5 * DAY else 1


def _of_numbers(values: np.ndarray) -> int:
    """The season of `(rows, targets)`, from the first target that varies."""
    for column in values[-_SAMPLED:].T:
        rows = len(column)
        if rows < 8 or np.ptp(column) == 0:
            continue
        trend = np.polynomial.polynomial.polyfit(np.arange(rows), column, 1)
        rest = column - np.polynomial.polynomial.polyval(np.arange(rows), trend)
        if rest.std() <= 1e-9 * max(np.abs(column).max(), 1.0):
            continue
        power = np.abs(np.fft.rfft(rest, 2 * rows)) ** 2
        correlation = np.fft.irfft(power)[: rows // 3] / (rest @ rest)
        inner = correlation[1:-1]
        peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
        peaks = peaks[correlation[peaks] > _LEAST_CORRELATION]
        if len(peaks):
            return int(peaks[np.argmax(correlation[peaks] > 0.9 * correlation[peaks].max())])
    return 1


def seasonal_error(values: np.ndarray, observed: np.ndarray, season: int) -> np.ndarray:
    """Mean absolute difference to the value a season before, of each target.

    Hyndman & Koehler 2006, "Another look at measures of forecast accuracy", section 4.2: the
    denominator of MASE.

    Args:
        values: `(rows, targets)`.
        observed: which of them were there, bool.
        season: rows.

    Returns:
        `(targets,)` float64; 0 where no two values can be compared, or all are equal.
    """
    if len(values) <= season:
        return np.zeros(values.shape[1])
    both = observed[season:] & observed[:-season]
    differences = np.where(both, np.abs(values[season:] - values[:-season]), 0.0)
    return differences.sum(0) / np.maximum(both.sum(0), 1)
