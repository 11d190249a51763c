"""What a report shows of a language model, from rows of `predictions.jsonl` alone.

A row is a window: `place`, `input` (its text), `pieces` (the texts of its tokens) and `nats`, how
surprising each was. A few rows have `samples`: how the text would go on, by temperature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.report.charts import Curve, learning_curve
from apps.report.sections import Section
from apps.report.templates import render

_TEMPLATE = "tasks/language_modelling/sections.html.j2"
_PASSAGES, _TOKENS = 4, 160
_MOST_POSITIONS = 64
# The end of a text of a few tokens says little.
_SHORT = 24


def sections(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Loss by position in the window, the hardest and easiest passages, samples."""
    windows = [row for row in rows if row["nats"]]
    found = [Section("Nats by place in the window", _render("positions", **_positions(windows)))]
    long = [row for row in windows if len(row["nats"]) >= _SHORT] or windows
    order = sorted(long, key=lambda row: float(np.mean(row["nats"])))
    hardest, easiest = order[::-1][:_PASSAGES], order[:_PASSAGES]
    passages = [
        ("hardest", list(map(_passage, hardest))),
        ("easiest", list(map(_passage, easiest))),
    ]
    found.append(Section("Hardest and easiest passages", _render("passages", passages=passages)))
    samples = [row for row in rows if row.get("samples")]
    if samples:
        found.append(Section("How texts go on", _render("samples", rows=samples)))
    return found


def _render(part: str, **values: Any) -> str:
    return render(_TEMPLATE, part=part, **values)


def _positions(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean nats of the tokens at each place of a window, places put together where many."""
    longest = max((len(row["nats"]) for row in rows), default=0)
    total, count = np.zeros(longest), np.zeros(longest)
    for row in rows:
        total[: len(row["nats"])] += row["nats"]
        count[: len(row["nats"])] += 1
    width = -(-longest // _MOST_POSITIONS) or 1
    edges = np.arange(0, longest, width)
    chart = None
    if len(edges) > 1:
        means = np.add.reduceat(total, edges) / np.add.reduceat(count, edges)
        curve = Curve("nats per token", [float(mean) for mean in means], validation=True)
        chart = learning_curve("nats by place", (edges + 1).tolist(), [curve], None, False, "token")
    return {"chart": chart, "windows": len(rows), "width": width}


def _passage(row: Mapping[str, Any]) -> dict[str, Any]:
    """A window's tokens, each with its nats and how dark it is, 0 to 5."""
    pairs = list(zip(row["pieces"], row["nats"], strict=True))[:_TOKENS]
    parts = [
        {"text": text, "nats": nats, "shade": int(np.clip(nats / 1.5, 0, 5))}
        for text, nats in pairs
    ]
    return {"place": row["place"], "mean": float(np.mean(row["nats"])), "parts": parts}
