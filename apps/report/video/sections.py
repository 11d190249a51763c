"""Sections of video applications, made from rows of `predictions.jsonl` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from apps.report.quantities import excerpt
from apps.report.sections import Section
from apps.report.svg import INK, MODEL, MUTED, OTHER, add_axes, figure
from apps.report.templates import render

_WIDTH, _HEIGHT = 768.0, 130.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 20, 8, 34
# More curves than this tell nothing apart.
_CURVES = 3


def clip_sections(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[Section]:
    """Contact sheets of wrong and right clips, with the classes over time below them.

    Args:
        rows: as `apps.report.video.players.add_evidence` left them.
        labels: the classes in the order of a track's probabilities.
    """
    shown = [row for row in rows if "sheet" in row]
    clips = [
        {
            "place": row["place"],
            "truth": row["truth"],
            "label": row["label"],
            "right": row["label"] == row["truth"],
            "confidence": row["probabilities"].get(row["label"]),
            "sheet": row["sheet"],
            "chart": _over_time(f"clip-{number}", row, labels),
        }
        for number, row in enumerate(shown)
    ]
    mistaken = sum(row["label"] != row["truth"] for row in rows)
    html = render("video/clips.html.j2", clips=clips, mistaken=mistaken, total=len(rows))
    return [Section("Clips", html)]


def _over_time(name: str, row: Mapping[str, Any], labels: Sequence[str]) -> Markup:
    """The classes' probabilities at each step, and how much each step weighs."""
    track = row["track"]
    probabilities = np.asarray(track.get("probabilities", []), np.float64)
    if not probabilities.size:
        return Markup()
    weights = np.asarray(track["weights"], np.float64)
    seconds = float(row.get("seconds") or len(weights))
    middles = (np.arange(len(weights)) + 1.5) / (len(weights) + 1) * seconds
    chosen = dict.fromkeys([row["label"], row["truth"]])
    chosen |= dict.fromkeys(labels[i] for i in np.argsort(-probabilities.mean(0)))
    colours = (MODEL, OTHER, MUTED)
    alt = f"Probability over time of {', '.join(list(chosen)[:_CURVES])}"
    with figure(_WIDTH, _HEIGHT, name) as (drawing, svg):
        axes = add_axes(drawing, (_LEFT, _RIGHT, _TOP, _BOTTOM))
        step = seconds / (len(weights) + 1)
        share = weights / max(float(weights.max(initial=0.0)), 1e-9)
        axes.bar(middles, share, width=step, color=MUTED, alpha=0.15)
        for label, colour in zip(list(chosen)[:_CURVES], colours, strict=False):
            curve = probabilities[:, labels.index(label)]
            axes.plot(middles, curve, color=colour, linewidth=1.6, label=excerpt(label, 24))
        axes.set_xlim(0, seconds)
        axes.set_ylim(0, 1)
        axes.set_xlabel("seconds", color=INK)
        axes.locator_params("y", nbins=3)
        axes.legend(loc="upper left", fontsize=8, frameon=False, ncols=_CURVES)
        return svg(alt)
