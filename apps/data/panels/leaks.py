"""Covariates that know what is yet to come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.data.panels.series import Channels, TimeSeries
from apps.errors import UserError

# Nothing that is known today goes with so much of tomorrow's return.
_MOST, _FEWEST = 0.7, 30
_AHEAD = 5


def check_leaks(series: Sequence[TimeSeries], channels: Channels, horizon: int) -> None:
    """Refuse a past covariate that goes with returns after its row.

    It, its changes and its relative changes are compared with the returns of the next rows, and it
    with the target itself.

    Args:
        series: whose `past` are quotes and then covariates, in the order of the channels, and whose
            `targets` are what the `horizon` rows up to each had.
        channels: of them.
        horizon: rows.

    Raises:
        UserError: names the covariate, how far ahead it knows, and the remedy.
    """
    quotes = len(channels.targets)
    close = channels.targets.index("close")
    for number, name in enumerate(channels.past):
        worst = (0.0, 1)
        for one in series:
            values = one.past[: one.last, quotes + number]
            returns = np.concatenate([[0.0], np.diff(np.log(one.past[: one.last, close]))])
            target = np.where(one.observed, one.targets, np.nan)[: one.last, 0]
            for form in _forms(values):
                for ahead in range(1, max(_AHEAD, horizon) + 1):
                    worst = max(worst, (_alike(form, returns, ahead), ahead))
                worst = max(worst, (_alike_beyond(form, target, horizon), horizon))
        if worst[0] > _MOST:
            when = "at the next row" if worst[1] == 1 else f"{worst[1]} rows later"
            raise UserError(
                f"{series[0].source}: the covariate '{name}' knows the future: its correlation "
                f"with what happens {when} is {worst[0]:.2f}; shift it to rows at which it was "
                "known, or leave it out"
            )


def _forms(values: np.ndarray) -> list[np.ndarray]:
    changes = np.concatenate([[0.0], np.diff(values)])
    forms = [values, changes]
    if (values > 0).all():
        forms.append(np.concatenate([[0.0], np.diff(np.log(values))]))
    return forms


def _alike(form: np.ndarray, returns: np.ndarray, ahead: int) -> float:
    return abs(correlation(form[:-ahead], returns[ahead:]))


def _alike_beyond(form: np.ndarray, target: np.ndarray, horizon: int) -> float:
    """How the target goes with the form, beyond how it goes with the target known at that row."""
    now, later, form = target[:-horizon], target[horizon:], form[:-horizon]
    direct, own = abs(correlation(form, later)), abs(correlation(now, later))
    return direct if direct > max(own + 0.2, 0.9) else 0.0


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, of the pairs that are known; 0 where it is undefined."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < _FEWEST:
        return 0.0
    a, b = one[both] - one[both].mean(), other[both] - other[both].mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 0.0
