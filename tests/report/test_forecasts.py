"""Charts of forecasts say what they show, whether anything has come or not."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike

from apps.report.forecasts import fan_chart

LEVELS = (0.1, 0.5, 0.9)
HISTORY = np.arange(50.0)


def label(truth: ArrayLike, quantiles: ArrayLike) -> str:
    svg = fan_chart("sales", HISTORY, truth, quantiles, LEVELS)
    return svg.split('aria-label="')[1].split('"')[0]


def test_of_what_came_only_known_values_count() -> None:
    bands = [[50, 51, 52], [51, 52, 53], [52, 53, 54]]
    assert "3 rows forecast; 50% of what came" in label([51, np.nan, 99], bands)


def test_where_nothing_has_come_the_median_is_said() -> None:
    said = label([np.nan] * 2, [[49.0, 50.0, 51.0], [50.0, 51.5, 53.0]])
    assert said == "sales: 2 rows forecast; the median goes from 50 to 51.5"


def test_a_single_row_is_as_wide_as_one() -> None:
    svg = fan_chart("sales", HISTORY, [np.nan], [[49, 50, 51]], LEVELS)
    line = re.search(r'd="M ([\d.]+) [\d.]+ +L ([\d.]+) [^"]*"[^>]*stroke: var\(--model\)', svg)
    assert line is not None
    assert float(line[2]) - float(line[1]) > 3
