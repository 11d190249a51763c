"""What a report shows of forecasts of prices, from rows of `predictions.jsonl` alone.

Beside what every forecast keeps, a row has `series`, `time`, `close` (of the last known row),
`median`, `low`, `high` and `came`, in the unit of the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.report.sections import Section
from apps.report.templates import render
from apps.tasks.quantiles.trading_charts import band_chart, equity_chart
from apps.tasks.quantiles.trading_rule import Backtest, Copy, backtest, late_copy

_TEMPLATE = "tasks/quantiles/trading.html.j2"
# Rows that a chart of forecasts shows.
_SHOWN = 120


def trading_sections(
    rows: Sequence[Mapping[str, Any]],
    target: str,
    horizon: int,
    cost: float,
    *,
    index: bool = False,
) -> list[Section]:
    """Forecasts against what came, whether they are a late copy, and a simple rule with costs.

    Args:
        rows: of `predictions.jsonl`.
        target: `return` or `volatility`.
        horizon: rows ahead.
        cost: of a change of position.
        index: whether the level returns to a mean, as that of an index that nobody can hold.
    """
    series: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["time"]):
        if row["came"] is not None:
            series.setdefault(row["series"], []).append(row)
    # Windows that follow one another without overlapping.
    apart = {name: own[::horizon] for name, own in series.items() if len(own) > horizon}
    if not apart:
        return []
    name, own = max(apart.items(), key=lambda item: len(item[1]))
    shown = own[-_SHOWN:]
    what = "Return" if target == "return" else "Logarithm of the volatility"
    chart = band_chart(
        f"{what} over {horizon} rows",
        _column(shown, "came"),
        _column(shown, "median"),
        _column(shown, "low"),
        _column(shown, "high"),
    )
    copy = _copy(own, target)
    found = [Section("Forecasts against what came", _render("bands", chart=chart, name=name))]
    found.append(Section("Is it a copy of yesterday?", _render("copy", copy=copy, target=target)))
    if target == "return":
        tests = [_tested(name, own, cost) for name, own in apart.items()]
        tests = sorted(tests, key=lambda one: -len(one[1].rule))
        html = _render(
            "backtest",
            tests=[
                (name, test, equity_chart(name or "equity", test), _figures(test))
                for name, test in tests[:4]
            ],
            cost=cost,
            count=len(tests),
            horizon=horizon,
            index=index,
        )
        found.append(Section("A simple rule, with costs", html))
    return found


def _copy(own: Sequence[Mapping[str, Any]], target: str) -> Copy | None:
    median, came = _column(own, "median"), _column(own, "came")
    if target == "return":
        close = _column(own, "close")
        return late_copy(close * np.exp(median), close * np.exp(came))
    return late_copy(median, came)


def _tested(name: str, own: Sequence[Mapping[str, Any]], cost: float) -> tuple[str, Backtest]:
    return name, backtest(_column(own, "median"), _column(own, "came"), cost)


def _figures(test: Backtest) -> list[tuple[str, float, float]]:
    """What each came to in all, and its deepest fall: by name, of the rule and held."""
    pairs = [("in all", lambda e: e[-1] - 1), ("deepest fall", lambda e: test.drawdown(e).min())]
    return [(name, float(of(test.rule)), float(of(test.hold))) for name, of in pairs]


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    return np.array([row[key] for row in rows], float)


def _render(part: str, **values: Any) -> str:
    return render(_TEMPLATE, part=part, **values)
