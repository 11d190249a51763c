"""Charts of forecasts: bands against truth, error by horizon, and whether quantiles hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from apps.report.svg import INK, MODEL, MUTED, OTHER, add_axes, figure

_WIDTH, _HEIGHT = 340, 190
# Rows of history that a chart shows, for each row that is forecast.
_HISTORY = 2
_LEAST_HISTORY = 30


def fan_chart(
    name: str,
    history: ArrayLike,
    truth: ArrayLike,
    quantiles: ArrayLike,
    levels: Sequence[float],
) -> Markup:
    """What was, what came, and the bands that were forecast.

    Args:
        name: of the chart; unique on its page.
        history: `(rows,)` values before the forecast.
        truth: `(horizon,)` values that came; NaN where none is known.
        quantiles: `(horizon, levels)`, rising.
        levels: probabilities.

    Returns:
        An `svg` element.
    """
    past, came = np.asarray(history, float), np.asarray(truth, float)
    bands = np.asarray(quantiles, float)
    rows, known = len(came), np.isfinite(came)
    past = past[-max(_HISTORY * rows, _LEAST_HISTORY) :]
    middle = len(levels) // 2
    said = f"the median goes from {bands[0, middle]:.3g} to {bands[-1, middle]:.3g}"
    if known.any():
        inside = ((bands[:, 0] <= came) & (came <= bands[:, -1]))[known]
        said = (
            f"{inside.mean():.0%} of what came lies in the outermost band, {levels[0]:g} to "
            f"{levels[-1]:g}"
        )
    ahead: np.ndarray = np.arange(1, rows + 1)
    if rows == 1:
        # A band takes two points.
        ahead, bands, came = np.array([0.5, 1.5]), np.repeat(bands, 2, 0), np.repeat(came, 2)
    with figure(_WIDTH, _HEIGHT, name) as (drawing, svg):
        axes = add_axes(drawing, (46, 10, 10, 40))
        for pair in range(middle):
            low, high = bands[:, pair], bands[:, -1 - pair]
            axes.fill_between(ahead, low, high, color=MODEL, alpha=0.15, linewidth=0)
        axes.plot(ahead, bands[:, middle], color=MODEL, linewidth=1.6)
        axes.plot(np.arange(1 - len(past), 1), past, color=MUTED, linewidth=1.2)
        axes.plot(ahead, came, color=INK, linewidth=1.2)
        axes.axvline(0, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.locator_params("x", integer=True, nbins=6)
        axes.locator_params("y", nbins=5)
        axes.set_xlabel("row after the last known one")
        return svg(f"{name}: {rows} rows forecast; {said}")


def error_by_horizon(errors: ArrayLike, label: str) -> Markup:
    """How the error grows with the distance.

    Args:
        errors: `(horizon,)`.
        label: what is drawn.
    """
    values = np.asarray(errors, float)
    rows = np.arange(1, len(values) + 1)
    with figure(_WIDTH, _HEIGHT, "error by horizon") as (drawing, svg):
        axes = add_axes(drawing, (46, 10, 10, 40))
        axes.plot(rows, values, color=MODEL, marker="o" if len(rows) < 16 else None, markersize=4)
        axes.set_ylim(bottom=0)
        axes.locator_params("x", integer=True, nbins=6)
        axes.set_xlabel("row after the last known one")
        first, last = values[0], values[-1]
        return svg(f"{label}: {first:.3g} at the first row, {last:.3g} at row {len(values)}")


def quantile_calibration(levels: Sequence[float], below: ArrayLike) -> Markup:
    """Whether as many values lie below each quantile as it says.

    Args:
        levels: probabilities.
        below: `(levels,)` shares of the values below each quantile.
    """
    shares = np.asarray(below, float)
    with figure(220, _HEIGHT, "calibration of quantiles") as (drawing, svg):
        axes = add_axes(drawing, (46, 10, 10, 40))
        axes.plot([0, 1], [0, 1], color=OTHER, linestyle=(0, (4, 2)), linewidth=1)
        axes.plot(levels, shares, color=MODEL, marker="o", markersize=4)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("level of the quantile")
        axes.set_ylabel("share below it")
        worst = int(np.argmax(np.abs(shares - np.asarray(levels))))
        return svg(
            f"Quantiles against shares below them; furthest off: level {levels[worst]:g}, below "
            f"which lie {shares[worst]:.0%}"
        )
