"""Evidence in a row of `predictions.jsonl`: a contact sheet of its clip, and its track."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

_RIGHT, _WRONG = 4, 8


def add_evidence(
    rows: Sequence[MutableMapping[str, Any]],
    frames: Callable[[int], np.ndarray],
    track: Callable[[int], Mapping[str, Any]],
) -> None:
    """Add `sheet` and `track` to the rows that the report shows, in place.

    Args:
        rows: finished rows with `truth`, `label` and `probabilities`.
        frames: gives `(time, height, width, 3)` uint8 of the row at a position.
        track: gives probabilities and weights of its steps.
    """
    for position in instructive(rows):
        rows[position]["sheet"] = contact_sheet(frames(position))
        rows[position]["track"] = dict(track(position))


def instructive(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Positions of the surest mistakes, then of right answers of different classes."""
    sure = sorted(
        range(len(rows)), key=lambda i: -rows[i]["probabilities"].get(rows[i]["label"], 0.0)
    )
    wrong = [i for i in sure if rows[i]["label"] != rows[i]["truth"]][:_WRONG]
    right: dict[str, int] = {}
    for i in sure:
        if rows[i]["label"] == rows[i]["truth"]:
            right.setdefault(rows[i]["truth"], i)
    return [*wrong, *list(right.values())[:_RIGHT]]


def contact_sheet(frames: np.ndarray) -> str:
    """Frames side by side, as a `data:` address of a JPEG."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.concatenate(list(frames), 1)).save(file, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
