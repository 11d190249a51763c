"""Charts of sensors over time: values in their band, scores, alarms and labelled windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from apps.report.svg import INK, MODEL, MUTED, OTHER, add_axes, figure

_WIDTH, _VALUES, _SCORES = 700, 170, 110
_MARGINS = (56, 10, 8, 34)


def value_timeline(
    name: str,
    first: int,
    values: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    labelled: Sequence[tuple[int, int]],
    alarms: Sequence[tuple[int, int]],
) -> Markup:
    """A channel, the band in which it was expected, and where alarms and labels are.

    Args:
        name: of the chart; unique on its page.
        first: number of the first row.
        values, low, high: `(rows,)`, NaN for holes.
        labelled, alarms: first and last row of each, counted from the first one shown.
    """
    value, lower, upper = (np.asarray(one, float) for one in (values, low, high))
    rows = first + np.arange(len(value))
    with figure(_WIDTH, _VALUES, name) as (drawing, svg):
        axes = add_axes(drawing, _MARGINS)
        _shade(axes, first, labelled, alarms)
        axes.fill_between(rows, lower, upper, color=MODEL, alpha=0.25, linewidth=0)
        axes.plot(rows, value, color=INK, linewidth=1.0)
        # A band that is far too wide at the beginning would hide the values.
        seen = value[np.isfinite(value)]
        if len(seen):
            room = max(float(np.ptp(seen)), 1e-12 + 1e-9 * float(np.abs(seen).max())) * 0.15
            axes.set_ylim(seen.min() - room, seen.max() + room)
        axes.locator_params("y", nbins=5)
        axes.set_xlabel("row")
        outside = int(((value < lower) | (value > upper)).sum())
        return svg(
            f"{name}: {len(value)} rows, {outside} outside of the band, {len(alarms)} alarms, "
            f"{len(labelled)} labelled windows"
        )


def score_timeline(
    name: str,
    first: int,
    scores: ArrayLike,
    threshold: float,
    labelled: Sequence[tuple[int, int]],
    alarms: Sequence[tuple[int, int]],
) -> Markup:
    """Scores and the threshold from which on they are alarms; arguments as `value_timeline`'s."""
    score = np.asarray(scores, float)
    rows = first + np.arange(len(score))
    with figure(_WIDTH, _SCORES, name) as (drawing, svg):
        axes = add_axes(drawing, _MARGINS)
        _shade(axes, first, labelled, alarms)
        axes.plot(rows, score, color=MODEL, linewidth=1.0)
        axes.axhline(threshold, color=OTHER, linewidth=1, linestyle=(0, (4, 2)))
        axes.set_ylim(bottom=0)
        axes.locator_params("y", nbins=4)
        axes.set_xlabel("row")
        return svg(f"{name}: highest score {np.nanmax(score):.2f}, threshold {threshold:.2f}")


def _shade(
    axes: object, first: int, labelled: Sequence[tuple[int, int]], alarms: Sequence[tuple[int, int]]
) -> None:
    for start, end in labelled:
        axes.axvspan(first + start - 0.5, first + end + 0.5, color=MUTED, alpha=0.25, linewidth=0)  # type: ignore[attr-defined]
    for start, end in alarms:
        axes.axvspan(first + start - 0.5, first + end + 0.5, color=OTHER, alpha=0.35, linewidth=0)  # type: ignore[attr-defined]
