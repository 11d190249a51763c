"""The charts of a report: learning curves, baselines, reliability, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from apps.report.calibration import Reliability
from apps.report.quantities import Metric, excerpt, finite
from apps.report.svg import (
    HEAT_BOUNDS,
    INK,
    MODEL,
    MUTED,
    OTHER,
    RIGHT,
    SURFACE,
    WRONG,
    add_axes,
    figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Curve:
    """One line of a learning curve.

    Attributes:
        label: its name in the legend.
        values: one figure per epoch; NaN leaves a gap.
        validation: whether it was measured on the validation rows.
    """

    label: str
    values: Sequence[float]
    validation: bool


@dataclass(frozen=True)
class Competitor:
    """One row of the comparison: a model or a baseline with its value and, if known, interval."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    model: bool = False


def learning_curve(
    name: str,
    epochs: Sequence[float],
    curves: Sequence[Curve],
    best: float | None,
    rate: bool,
    across: str = "epoch",
) -> Markup:
    """Curves over epochs, or whatever else is counted, the best epoch marked.

    Args:
        name: what is drawn, for the description that a screen reader reads out.
        epochs: numbers of the epochs.
        curves: at least one line over them.
        best: the epoch whose weights were kept, or None.
        rate: whether the values are fractions, written in per cent.
        across: what is counted.

    Returns:
        An `svg` element of about 340 by 220 pixels.
    """
    alt = f"{name} over {len(epochs)} {across}(s): " + "; ".join(
        f"{curve.label} ends at {curve.values[-1]:.4g}" for curve in curves
    )
    with figure(340, 220, name) as (drawing, svg):
        axes = add_axes(drawing, (52, 14, 34, 40))
        for curve in curves:
            axes.plot(
                epochs,
                np.where(np.isfinite(curve.values), curve.values, np.nan),
                color=MODEL if curve.validation else OTHER,
                linestyle="-" if curve.validation else (0, (4, 2)),
                marker="o",
                markersize=4 if len(epochs) < 16 else 0,
                label=curve.label,
            )
        if best is not None and best in epochs:
            axes.axvline(
                best, color=INK, linewidth=1, linestyle=(0, (1, 2)), label=f"best: epoch {best:g}"
            )
            _mark_best(axes, epochs, curves, best)
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axes.margins(y=0.1)
        axes.locator_params("x", integer=True, nbins=8)
        axes.locator_params("y", nbins=6)
        axes.yaxis.set_major_formatter(_percent if rate else _short)
        axes.set_xlabel(across)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.17, 1.0),
            ncol=3,
            columnspacing=1.0,
            handlelength=1.6,
            handletextpad=0.5,
        )
        return svg(alt)


def _mark_best(axes: Axes, epochs: Sequence[float], curves: Sequence[Curve], best: float) -> None:
    for curve in curves:
        if curve.validation or len(curves) == 1:
            value = curve.values[list(epochs).index(best)]
            axes.plot(
                [best],
                [value],
                marker="o",
                markersize=9,
                color=SURFACE,
                markeredgecolor=MODEL if curve.validation else OTHER,
                markeredgewidth=2.4,
                linestyle="none",
            )


def comparison(metric: Metric, competitors: Sequence[Competitor]) -> Markup:
    """Model and baselines on one axis, the model's interval as a bar.

    Args:
        metric: what is compared.
        competitors: model and baselines with finite values, best first.

    Returns:
        An `svg` element of about 380 pixels width.
    """
    alt = f"{metric.title}: " + "; ".join(
        f"{c.label} {metric.written(c.value)}" for c in competitors
    )
    rows = len(competitors)
    names = [excerpt(competitor.label, 22) for competitor in competitors]
    left = 22 + 6.2 * max(map(len, names))
    with figure(280 + left, 52 + 32 * rows, "comparison") as (drawing, svg):
        axes = add_axes(drawing, (left, 76, 8, 44))
        for row, competitor in enumerate(competitors):
            color = MODEL if competitor.model else OTHER
            if competitor.interval:
                axes.plot(competitor.interval, [row, row], color=color, linewidth=5, alpha=0.4)
            marker = "o" if competitor.model else "D"
            axes.plot([competitor.value], [row], color=color, marker=marker, markersize=8)
            axes.annotate(
                metric.written(competitor.value),
                (1, row),
                xycoords=("axes fraction", "data"),
                xytext=(12, 0),
                textcoords="offset points",
                va="center",
                fontweight="bold" if competitor.model else "normal",
            )
        axes.set_yticks(range(rows), names)
        axes.tick_params(axis="y", length=0, labelsize=11, labelcolor=INK)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.margins(x=0.08)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.locator_params("x", nbins=6)
        axes.xaxis.set_major_formatter(_percent if metric.rate else _short)
        way = {"higher": "higher is better", "lower": "lower is better", "neither": ""}
        axes.set_xlabel(f"{metric.title} ({way[metric.better]})")
        return svg(alt)


def reliability_diagram(bins: Reliability, lowest: float, alt: str) -> Markup:
    """Accuracy against confidence with the rows per bin below (Guo et al. 2017, figure 1).

    Args:
        bins: counts, confidence and accuracy of each bin.
        lowest: left end of the confidence axis, 1 / classes: no confidence is lower.
        alt: what a screen reader says of it.

    Returns:
        An `svg` element of about 370 by 400 pixels.
    """
    low, high = bins.accuracy_interval()
    filled = bins.counts > 0
    width = float(bins.edges[1] - bins.edges[0])
    centre = bins.edges[:-1] + width / 2
    left = float(bins.edges[:-1][bins.edges[:-1] <= lowest].max())
    with figure(370, 400, "reliability") as (drawing, svg):
        upper = add_axes(drawing, (52, 22, 30, 140))
        upper.bar(centre[filled], bins.accuracy[filled], width * 0.92, color=MODEL, alpha=0.3)
        upper.plot(
            [0, 1],
            [0, 1],
            color=INK,
            linewidth=1,
            linestyle=(0, (4, 3)),
            label="perfect calibration",
        )
        upper.vlines(bins.confidence[filled], low[filled], high[filled], color=MODEL, linewidth=1.4)
        upper.plot(
            bins.confidence[filled],
            bins.accuracy[filled],
            color=MODEL,
            marker="o",
            markersize=6,
            linestyle="none",
            label="accuracy with 95 % interval",
        )
        upper.set_ylabel("accuracy")
        upper.set_ylim(0, 1.02)
        upper.legend(
            loc="lower left",
            bbox_to_anchor=(-0.16, 1.0),
            ncol=2,
            handlelength=1.6,
            columnspacing=1.2,
        )
        lower = add_axes(drawing, (52, 22, 282, 44))
        lower.bar(centre[filled], bins.counts[filled], width * 0.92, color=MUTED, alpha=0.6)
        lower.set_ylabel("examples")
        lower.set_xlabel("confidence")
        lower.locator_params("y", integer=True, nbins=3)
        lower.yaxis.set_major_formatter(_short)
        upper.yaxis.set_major_formatter(_percent)
        for axes in (upper, lower):
            axes.set_xlim(left, 1.0)
            axes.xaxis.set_major_formatter(_percent)
        upper.tick_params(axis="x", labelbottom=False)
        return svg(alt)


def heat_map(labels: Sequence[str], shares: NDArray[np.float64], alt: str) -> Markup:
    """A square table of shares as shades: blue on the diagonal, orange off it.

    Args:
        labels: names of the classes, one for each row and column.
        shares: float `(classes, classes)`, row by row the share of the true class; NaN is empty.
        alt: what a screen reader says of it.

    Returns:
        An `svg` element with cells of 13 pixels.
    """
    from matplotlib.collections import PolyCollection

    cell, count = 13, len(labels)
    names = [excerpt(label, 18) for label in labels]
    margin = 28 + round(5.6 * max(map(len, names), default=0))
    size = margin + cell * count + 6
    with figure(size, size, "confusion") as (drawing, svg):
        axes = add_axes(drawing, (margin, 6, margin, 6))
        level = np.digitize(np.nan_to_num(shares), HEAT_BOUNDS, right=True) - 1
        for colors, chosen in (
            (RIGHT, np.eye(count, dtype=bool)),
            (WRONG, ~np.eye(count, dtype=bool)),
        ):
            for i, color in enumerate(colors):
                where = np.argwhere((level == i) & chosen)
                squares = [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for y, x in where]
                if squares:
                    axes.add_collection(PolyCollection(squares, facecolors=color, linewidths=0))
        ticks = np.arange(count) + 0.5
        axes.set_xticks(ticks, names, rotation=90)
        axes.set_yticks(ticks, names)
        axes.set(xlim=(0, count), ylim=(count, 0))
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.xaxis.set_label_position("top")
        axes.tick_params(
            length=0, labelsize=9, labelcolor=INK, top=True, labeltop=True, labelbottom=False
        )
        axes.set_xticks(range(count + 1), minor=True)
        axes.set_yticks(range(count + 1), minor=True)
        axes.tick_params(which="minor", length=0)
        axes.grid(visible=False)
        axes.grid(visible=True, which="minor", linewidth=0.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return svg(alt)


def _percent(value: float, _position: float) -> str:
    return f"{100 * value:.4g} %"


def _short(value: float, _position: float) -> str:
    if not finite(value) or value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:,.5g}k"
    if abs(value) >= 0.01:
        return f"{value:.4g}"
    digits, exponent = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"
