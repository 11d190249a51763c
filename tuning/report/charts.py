"""The charts of a search: score over time, score against latency, importance, finals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from markupsafe import Markup

from apps.report.quantities import THIN_SPACE, excerpt, finite, percent, words
from apps.report.svg import INK, MODEL, MUTED, OTHER, SURFACE, add_axes, figure
from tuning.record import DEFAULT, Finalist, SearchRecord, TrialRow
from tuning.report.importance import Importance
from tuning.report.objective import Objective
from tuning.report.pareto import front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEGEND = {"handlelength": 1.4, "handletextpad": 0.4, "columnspacing": 1.0}


def progress(record: SearchRecord) -> Markup | None:
    """Each trial at its end, and the best score so far.

    Args:
        record: a search at any stage.

    Returns:
        An `svg` element of 640 by 280 pixels; None before the first trial has completed.
    """
    objective = Objective.of(record.settings)
    ended = sorted((r for r in record.trials if finite(r.ended)), key=lambda r: r.ended or 0.0)
    scored = [row for row in ended if finite(row.score)]
    if not scored:
        return None
    unit, size = _unit(max(row.ended or 0.0 for row in ended))
    within = [row for row in scored if row.feasible]
    default = next((row.score for row in scored if row.id == DEFAULT), None)
    with figure(640, 280, "progress") as (drawing, svg):
        axes = add_axes(drawing, (62, 14, 34, 44))
        if default is not None:
            axes.axhline(
                default,
                color=INK,
                linewidth=1,
                linestyle=(0, (4, 3)),
                label="default configuration",
            )
        best = _so_far(within, objective)
        if best:
            times = [(row.ended or 0.0) / size for row in within]
            times.append(max(record.elapsed, ended[-1].ended or 0.0) / size)
            axes.step(times, [*best, best[-1]], where="post", color=MODEL, label="best so far")
        _dots(axes, within, size, color=MODEL, label="trial")
        over = [row for row in scored if not row.feasible]
        _dots(axes, over, size, color=SURFACE, markeredgecolor=MUTED, label="over the budget")
        failed = [(row.ended or 0.0) / size for row in ended if row.status == "FAILED"]
        if failed:
            axes.plot(
                failed,
                [0.03] * len(failed),
                transform=axes.get_xaxis_transform(),
                color=OTHER,
                marker="x",
                linestyle="none",
                label="failed",
            )
        axes.set_xlim(left=0)
        axes.margins(y=0.12)
        axes.set_xlabel(f"{unit} since the search began")
        _score_axis(axes, objective, "y")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncol=5, **_LEGEND)
        last = objective.written(best[-1]) if best else "none within the budget"
        return svg(
            f"{objective.title} of {len(scored)} trial(s) over {unit}: best {last}, "
            f"default {objective.written(default)}, {len(failed)} failed"
        )


def trade_off(record: SearchRecord) -> tuple[Markup, list[TrialRow]] | None:
    """Score against latency with the Pareto front.

    Args:
        record: a search at any stage.

    Returns:
        An `svg` element of 640 by 300 pixels, and the trials on the front, fastest first; None
        where no completed trial has a latency.
    """
    objective = Objective.of(record.settings)
    rows = [r for r in record.trials if finite(r.score) and finite(r.cost.get("latency_ms"))]
    if not rows:
        return None
    points = [(row.score or 0.0, row.cost["latency_ms"]) for row in rows]
    chosen = front(points, record.settings.maximise)
    limit = record.settings.budget.get("latency_ms")
    with figure(640, 300, "pareto") as (drawing, svg):
        axes = add_axes(drawing, (62, 22, 34, 44))
        others = [point for index, point in enumerate(points) if index not in chosen]
        axes.plot(
            [latency for _, latency in others],
            [score for score, _ in others],
            color=MUTED,
            marker="o",
            markersize=5,
            linestyle="none",
            alpha=0.55,
            label="trial",
        )
        axes.step(
            [points[index][1] for index in chosen],
            [points[index][0] for index in chosen],
            where="post",
            color=MODEL,
            marker="o",
            markersize=7,
            linewidth=1.6,
            label="Pareto front",
        )
        if limit is not None:
            axes.axvline(limit, color=OTHER, linewidth=1.4, linestyle=(0, (4, 3)), label="budget")
        for index in _apart(chosen, points):
            score, latency = points[index]
            axes.annotate(
                rows[index].id,
                (latency, score),
                xytext=(0, 7 if record.settings.maximise else -15),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
        axes.margins(0.08, 0.16)
        axes.set_xlabel("latency of one example in ms (lower is better)")
        _score_axis(axes, objective, "y")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncol=3, **_LEGEND)
        alt = (
            f"{objective.title} against latency of {len(rows)} trial(s), Pareto front: "
            + "; ".join(
                f"trial {rows[i].id} {objective.written(points[i][0])} at {points[i][1]:.3g} ms"
                for i in chosen
            )
        )
        return svg(alt), [rows[index] for index in chosen]


def importance(found: Sequence[Importance]) -> Markup:
    """Shares as bars, each with its interval.

    Args:
        found: at least one share, in the order in which they are drawn.

    Returns:
        An `svg` element of 520 pixels width.
    """
    names = [excerpt(words(one.name), 24) for one in found]
    left = 18 + 6.4 * max(map(len, names))
    places = range(len(found))
    with figure(520, 50 + 26 * len(found), "importance") as (drawing, svg):
        axes = add_axes(drawing, (left, 20, 6, 44))
        shares = [one.share for one in found]
        axes.barh(places, shares, height=0.6, color=MODEL, alpha=0.35)
        for place, one in enumerate(found):
            axes.plot([one.low, one.high], [place, place], color=MODEL, linewidth=2)
            axes.plot([one.share], [place], color=MODEL, marker="o", markersize=6)
        axes.set_yticks(places, names)
        axes.tick_params(axis="y", length=0, labelsize=11, labelcolor=INK)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlim(0, max(0.1, *(one.high for one in found)) * 1.04)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.locator_params("x", nbins=6)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
        axes.set_xlabel("share of the differences between trials, with 95 % interval")
        return svg(
            "Importance: "
            + "; ".join(
                f"{name} {percent(one.share, 0)} ({percent(one.low, 0)} to {percent(one.high, 0)})"
                for name, one in zip(names, found, strict=True)
            )
        )


def finals(found: Sequence[Finalist], objective: Objective) -> Markup:
    """Finalists with a dot for each seed, the mean, and one standard deviation around it.

    Args:
        found: at least one, best first.
        objective: the metric that scores them.

    Returns:
        An `svg` element of 520 pixels width.
    """
    names = [f"trial {one.trial}" + (" (default)" * (one.trial == DEFAULT)) for one in found]
    left = 18 + 6.4 * max(map(len, names))
    with figure(520, 58 + 34 * len(found), "finals") as (drawing, svg):
        axes = add_axes(drawing, (left, 150, 6, 46))
        for place, one in enumerate(found):
            color = MODEL if place == 0 else OTHER if one.trial == DEFAULT else MUTED
            span = [one.mean - one.spread, one.mean + one.spread]
            axes.plot(span, [place, place], color=color, linewidth=6, alpha=0.35)
            axes.plot(
                one.scores, [place] * len(one.scores), color=color, marker="o", markersize=5, lw=0
            )
            axes.plot([one.mean], [place], color=color, marker="|", markersize=18, mew=2.4)
            axes.annotate(
                f"{objective.written(one.mean)} ± {objective.width(one.spread)}",
                (1, place),
                xycoords=("axes fraction", "data"),
                xytext=(12, 0),
                textcoords="offset points",
                va="center",
                fontweight="bold" if place == 0 else "normal",
            )
        axes.set_yticks(range(len(found)), names)
        axes.tick_params(axis="y", length=0, labelsize=11, labelcolor=INK)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.margins(x=0.1)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        _score_axis(axes, objective, "x")
        return svg(
            f"{objective.title} over seeds: "
            + "; ".join(
                f"{name} {objective.written(one.mean)} plus or minus {objective.width(one.spread)}"
                for name, one in zip(names, found, strict=True)
            )
        )


def _apart(chosen: Sequence[int], points: Sequence[tuple[float, float]]) -> list[int]:
    """The points, fastest first, whose names do not overlap."""
    latencies = [latency for _, latency in points]
    room = 0.07 * (max(latencies) - min(latencies))
    named: list[int] = []
    for index in chosen:
        if not named or points[index][1] - points[named[-1]][1] > room:
            named.append(index)
    return named


def _dots(axes: Axes, rows: Sequence[TrialRow], size: float, **style: Any) -> None:
    if rows:
        axes.plot(
            [(row.ended or 0.0) / size for row in rows],
            [row.score or 0.0 for row in rows],
            marker="o",
            markersize=5,
            linestyle="none",
            alpha=0.75,
            **style,
        )


def _so_far(rows: Sequence[TrialRow], objective: Objective) -> list[float]:
    """The best score up to each row."""
    scores = np.array([row.score for row in rows], np.float64)
    better = np.maximum if objective.maximise else np.minimum
    return [float(value) for value in better.accumulate(scores)] if len(rows) else []


def _unit(seconds: float) -> tuple[str, float]:
    if seconds < 120:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds < 7200 else ("hours", 3600.0)


def _score_axis(axes: Axes, objective: Objective, which: Literal["x", "y"]) -> None:
    one = axes.yaxis if which == "y" else axes.xaxis
    axes.locator_params(which, nbins=6)
    if objective.rate:
        one.set_major_formatter(lambda value, _: f"{100 * value:.4g}{THIN_SPACE}%")
    else:
        one.set_major_formatter(lambda value, _: f"{value:.4g}")
    way = "higher" if objective.maximise else "lower"
    one.set_label_text(f"{objective.title} ({way} is better)" if which == "x" else objective.title)
