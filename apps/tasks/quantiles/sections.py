"""What a report shows of forecasts, from rows of `predictions.jsonl` alone.

A row is a window: `place`, `error` (mean pinball loss), `by_horizon` (mean absolute error at each
row) and `below` (share of the values below each quantile), standardised. A few rows have
`forecasts`, in the unit of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.report.forecasts import error_by_horizon, fan_chart, quantile_calibration
from apps.report.sections import Section
from apps.report.templates import render

_TEMPLATE = "tasks/quantiles/sections.html.j2"
_CHARTS = 4


def quantile_sections(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Bands against truth of the best, median and worst windows, error by horizon, calibration."""
    told = sorted((row for row in rows if row.get("forecasts")), key=lambda row: row["error"])
    found = []
    if told:
        names = {0: "best", len(told) // 2: "median", len(told) - 1: "worst"}
        groups = [
            (name, told[number]["place"], told[number]["error"], _charts(name, told[number]))
            for number, name in names.items()
        ]
        found.append(Section("Forecasts against what came", _render("forecasts", groups=groups)))
    if rows:
        errors = np.array([row["by_horizon"] for row in rows], float)
        by_horizon = np.nanmean(errors, 0)
        chart = error_by_horizon(by_horizon, "Mean absolute error by distance, standardised")
        found.append(Section("Error by horizon", _render("horizon", chart=chart)))
        levels = rows[0]["levels"]
        below = np.nanmean([row["below"] for row in rows], 0)
        chart = quantile_calibration(levels, below)
        pairs = list(zip(levels, below.tolist(), strict=True))
        found.append(Section("Calibration", _render("calibration", chart=chart, pairs=pairs)))
    return found


def _charts(name: str, row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    charts = []
    for one in row["forecasts"][:_CHARTS]:
        truth = [np.nan if value is None else value for value in one["truth"]]
        chart = fan_chart(
            f"{name} {one['target']}", one["history"], truth, one["quantiles"], one["levels"]
        )
        charts.append((one["target"], chart))
    return charts


def _render(part: str, **values: Any) -> str:
    return render(_TEMPLATE, part=part, **values)
