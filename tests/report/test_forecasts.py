"""Charts of forecasts say what they show, whether anything has come or not."""

from __future__ import annotations

import re

import numpy as np

from apps.report.forecasts import fan_chart

LEVELS = (0.1, 0.5, 0.9)
HISTORY = np.arange(50.0)


def label(truth: list[float], quantiles: list[list[float]]) -> str:
    svg = fan_chart("sales", HISTORY, truth, quantiles, LEVELS)
    return svg.split('aria-label="')[1].split('"')[0]


def test_of_what_came_only_known_values_count() -> None:
    bands = [[50, 51, 52], [51, 52, 53], [52, 53, 54]]
    assert "3 rows forecast; 50% of what came" in label([51, np.nan, 99], bands)


def test_where_nothing_has_come_the_median_is_said() -> None:
    said = label([np.nan] * 2, [[49, 50, 51], [50, 51.5, 53]])
    assert said == "sales: 2 rows forecast; the median goes from 50 to 51.5"


def test_a_single_row_has_a_band_too() -> None:
    svg = fan_chart("sales", HISTORY, [np.nan], [[49, 50, 51]], LEVELS)
    band = next(path for path in re.findall(r'd="([^"]+)"', svg) if path.rstrip().endswith("z"))
    places = [float(x) for x, _ in re.findall(r"([\d.]+) ([\d.]+)", band)]
    assert max(places) - min(places) > 3
