"""Made series: sales of stores, of which all that can be known is known."""

from __future__ import annotations

import numpy as np

from apps import environment
from apps.data import Examples
from apps.data.panels.table import Table

_STORES = ("north", "south", "east", "west", "harbour", "station")
_START = np.datetime64("2021-01-04")
_SHOCK, _MEMORY = 0.06, 0.7
# Days behind the last sales whose promotions are planned.
_PLANNED = 28
# Rows of a usual horizon.
_AHEAD = 14


def sample_sales(seed: int, stores: int = len(_STORES), days: int = 900) -> Examples:
    """Daily sales with a trend, a week, a year, promotions that are known ahead, and gaps.

    Shocks fade from day to day, and only what is new in them cannot be foreseen. Says which loss
    nothing can beat: that of the true deciles.

    Args:
        seed: of stores and days.
        stores: how many of them.
        days: of each; the promotions of four weeks more are known.
    """
    import pandas

    draw = np.random.default_rng(seed)
    known, days = days, days + _PLANNED
    day = np.arange(days)
    frames, levels = [], []
    for name in _STORES[:stores]:
        level, growth = draw.uniform(80, 400), draw.uniform(-0.1, 0.35)
        levels.append(level)
        week = 1 + np.array([-0.15, -0.1, -0.05, 0.0, 0.15, 0.3, -0.15]) * draw.uniform(0.6, 1.4)
        year = 1 + 0.15 * np.sin(2 * np.pi * (day / 365.25 + draw.uniform()))
        promo = np.repeat(draw.random(-(-days // 7)) < 0.2, 7)[:days]
        shocks = np.zeros(days)
        for number in range(1, days):
            shocks[number] = _MEMORY * shocks[number - 1] + draw.normal(0, _SHOCK)
        expected = level * (1 + growth * day / 365) * week[day % 7] * year * (1 + 0.4 * promo)
        sales = expected + level * shocks
        sales[known:] = np.nan
        kept = np.ones(days, bool)
        for gap in draw.integers(known // 3, known * 2 // 3, 2):
            kept[gap : gap + draw.integers(1, 5)] = False
        frames.append(
            pandas.DataFrame(
                {
                    "date": (_START + day)[kept],
                    "store": name,
                    "sales": sales[kept].round(2),
                    "promo": promo[kept].astype(int),
                }
            )
        )
    frame = pandas.concat(frames, ignore_index=True)
    floors = [
        float(np.mean(levels)) * least_loss(rows) / float(frame["sales"].std(ddof=0))
        for rows in (1, _AHEAD)
    ]
    environment.say(
        f"made sales: what cannot be foreseen costs a mean pinball loss of {floors[0]:.4f} over "
        f"one row and {floors[1]:.4f} over {_AHEAD}, standardised; nothing can be expected to beat "
        "it"
    )
    table = Table(
        frame,
        "made sales",
        {"time": "date", "id": "store", "target": "sales", "future": "promo"},
    )
    return Examples({"series": [table]}, ["made sales"], "made sales")


def least_loss(rows: int) -> float:
    """Mean pinball loss of the true deciles over some rows ahead, of a store whose level is 1.

    At each level it is the density there, times the deviation of what is new by then.
    """
    from scipy.stats import norm

    ahead = np.arange(1, rows + 1)
    deviations = _SHOCK * np.sqrt((1 - _MEMORY ** (2 * ahead)) / (1 - _MEMORY**2))
    return float(norm.pdf(norm.ppf(np.arange(1, 10) / 10)).mean() * deviations.mean())
