"""What a report shows of translation, made from rows of `predictions.jsonl` alone.

A row holds `place`, `input`, `truth`, `text`, `score`, `cut`, and of a few sentences `attention`:
the weights, a list for each piece of the answer, with `source_pieces` and `target_pieces`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from apps.report.sections import Section
from apps.report.templates import render
from apps.tasks.translation import scores

_TEMPLATE = "tasks/translation/sections.html.j2"
_BOUNDS = (5, 10, 15, 20, 30, 50)
_SENTENCES = 8


def translation_sections(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    """BLEU by length, the hardest and easiest sentences, and what answers attend to.

    Args:
        rows: all rows of `predictions.jsonl`.
    """
    found = [Section("BLEU by length", _render("lengths", rows=list(_by_length(rows))))]
    ranked = sorted((_judged(row) for row in rows), key=lambda row: row["chrf"])
    groups = [("Hardest", ranked[:_SENTENCES]), ("Easiest", ranked[::-1][:_SENTENCES])]
    found.append(
        Section("The hardest and the easiest sentences", _render("sentences", groups=groups))
    )
    maps = [
        {
            "source": row["source_pieces"],
            "rows": list(zip(row["target_pieces"], row["attention"], strict=True)),
        }
        for row in rows
        if row.get("attention")
    ]
    if maps:
        found.append(Section("Attention", _render("attention", maps=maps)))
    return found


def _by_length(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    words = np.array([len(row["input"].split()) for row in rows], int)
    low = 1
    for high in (*_BOUNDS, None):
        inside = words >= low if high is None else (words >= low) & (words <= high)
        chosen = [rows[place] for place in np.flatnonzero(inside).tolist()]
        title = f"{low} or more" if high is None else f"{low} to {high}"
        low = low if high is None else high + 1
        if chosen:
            counts = np.stack([scores.bleu_counts(row["truth"], row["text"]) for row in chosen])
            said, true = counts[:, 0].sum(), counts[:, 1].sum()
            yield {
                "title": title,
                "count": len(chosen),
                "bleu": scores.bleu(counts),
                "ratio": float(said / max(true, 1)),
                "cut": sum(bool(row["cut"]) for row in chosen),
            }


def _judged(row: Mapping[str, Any]) -> dict[str, Any]:
    chrf = scores.chrf(scores.chrf_counts(row["truth"], row["text"])[None])
    return {**row, "chrf": chrf, "score": row["score"] or 0.0}


def _render(part: str, **values: Any) -> str:
    return render(_TEMPLATE, part=part, **values)
