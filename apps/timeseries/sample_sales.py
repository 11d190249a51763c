"""Made series: sales of stores, of which all that can be known is known."""

from __future__ import annotations

import numpy as np

from apps.data import Examples
from apps.data.panels.table import Table

# Mean pinball loss at the deciles of a standard normal distribution whose quantiles are known.
DECILES_OF_NOISE = 0.2257
_STORES = ("north", "south", "east", "west", "harbour", "station")
_START = np.datetime64("2021-01-04")
_SHOCK, _MEMORY = 0.06, 0.7
# Days behind the last sales whose promotions are planned.
_PLANNED = 28


def sample_sales(seed: int, stores: int = len(_STORES), days: int = 900) -> Examples:
    """Daily sales with a trend, a week, a year, promotions that are known ahead, and gaps.

    Shocks fade from day to day, and only what is new in them cannot be foreseen: the forecast of
    the next day has a floor that is known, `0.06` of a store's level times `DECILES_OF_NOISE`.

    Args:
        seed: of stores and days.
        stores: how many of them.
        days: of each; the promotions of four weeks more are known.
    """
    import pandas

    draw = np.random.default_rng(seed)
    known, days = days, days + _PLANNED
    day = np.arange(days)
    frames = []
    for name in _STORES[:stores]:
        level, growth = draw.uniform(80, 400), draw.uniform(-0.1, 0.35)
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
    table = Table(
        pandas.concat(frames, ignore_index=True),
        "made sales",
        {"time": "date", "id": "store", "target": "sales", "future": "promo"},
    )
    return Examples({"series": [table]}, ["made sales"], "made sales")
