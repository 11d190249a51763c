"""Charts of forecasts row by row, and of what a rule would have come to."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from apps.report.svg import INK, MODEL, MUTED, OTHER, add_axes, figure
from apps.tasks.quantiles.trading_rule import Backtest

_WIDTH, _HEIGHT = 700, 220


def band_chart(
    label: str, came: np.ndarray, median: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Markup:
    """What came, row by row, and the median and the outermost quantiles that were forecast of it.

    Args:
        label: of what is drawn.
        came, median, low, high: `(rows,)`.
    """
    rows = np.arange(len(came))
    with figure(_WIDTH, _HEIGHT, "forecasts by row") as (drawing, svg):
        axes = add_axes(drawing, (56, 10, 10, 34))
        axes.fill_between(rows, low, high, color=MODEL, alpha=0.2, linewidth=0)
        axes.plot(rows, median, color=MODEL, linewidth=1.4)
        axes.plot(rows, came, color=INK, marker="o", markersize=2.5, linewidth=0)
        axes.locator_params("y", nbins=6)
        axes.set_xlabel("window")
        inside = float(np.mean((low <= came) & (came <= high)))
        return svg(f"{label}, the last {len(came)} windows: {inside:.0%} lie within the band")


def equity_chart(name: str, test: Backtest) -> Markup:
    """Value and drawdown of a rule beside buy-and-hold.

    Args:
        name: of the chart; unique on its page.
        test: what is drawn.
    """
    with figure(_WIDTH, 2 * _HEIGHT, f"equity {name}") as (drawing, svg):
        upper = add_axes(drawing, (56, 10, 10, _HEIGHT + 10))
        lower = add_axes(drawing, (56, 10, _HEIGHT + 20, 34))
        for equity, color, width, said in (
            (test.hold, OTHER, 1.2, "buy-and-hold"),
            (test.rule, MODEL, 1.6, "the rule"),
        ):
            upper.plot(equity, color=color, linewidth=width, label=said)
            lower.plot(100 * test.drawdown(equity), color=color, linewidth=width)
        upper.axhline(1, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        upper.legend(loc="upper left")
        upper.set_ylabel("value of 1")
        lower.set_ylabel("drawdown, %")
        lower.set_xlabel("window")
        for axes in (upper, lower):
            axes.locator_params("y", nbins=5)
        return svg(
            f"Value of 1 after {len(test.rule) - 1} windows: {test.rule[-1]:.3g} by the rule, "
            f"{test.hold[-1]:.3g} by buy-and-hold; below, how far each lay under its highest"
        )
