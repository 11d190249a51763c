"""The score of the Numenta Anomaly Benchmark: early finds count most, false alarms cost.

The rules are those of Lavin and Ahmad 2015 ("Evaluating real-time anomaly detection algorithms")
and of the benchmark's published scorer. The first rows of a file are a probation that counts for
nothing. A window that is found counts by its earliest alarm, from 1 at its first row to almost 0
at its last; every other alarm in it is free. An alarm outside windows costs the more, the further
behind a window it lies. One threshold holds for all files: the best one, for each profile of
weights. A detector that never raises an alarm has 0, one that does so at the first row of each
window and nowhere else has 100.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from apps.errors import UserError

Floats = npt.NDArray[np.float64]
# What a found window, a false alarm and a missed window weigh.
PROFILES = {"standard": (1.0, 0.11, 1.0), "low_fp": (1.0, 0.22, 1.0), "low_fn": (1.0, 0.11, 2.0)}
_LABELS = Path("labels") / "combined_windows.json"
_FAR = 3.0  # From so many window widths behind a window on, a false alarm costs its full weight.


@dataclass(frozen=True)
class LabelledSeries:
    """One file of the benchmark, in the order of its rows.

    Attributes:
        name: path below the folder `data`.
        times: `(rows,)`, datetime64; they repeat or go back where a clock was changed.
        values: `(rows,)`.
        windows: first and last row of each labelled anomaly, both inclusive, in order and apart.
    """

    name: str
    times: npt.NDArray[np.datetime64]
    values: Floats
    windows: tuple[tuple[int, int], ...]


def read_corpus(folder: str | Path) -> list[LabelledSeries]:
    """Read the files that the labels name, in order of their names.

    Args:
        folder: holds `labels/combined_windows.json` and below `data` the files that it names.

    Raises:
        UserError: the folder, the labels or a labelled file is missing or holds something else, a
            window begins or ends at a stamp that its file lacks, or two windows overlap.
    """
    folder = Path(folder)
    labels = folder / _LABELS
    try:
        windows = json.loads(labels.read_text(encoding="utf-8"))
    except OSError:
        raise UserError(
            f"{labels} cannot be read; give the folder that holds NAB's data and labels"
        ) from None
    except ValueError as error:
        raise UserError(f"{labels} is no JSON: {error}") from None
    pairs = windows.values() if isinstance(windows, dict) else ()
    if not any(pairs) or not all(isinstance(of_file, list) for of_file in pairs):
        raise UserError(
            f"{labels} must map each file to its list of [start, end] stamps and name a window"
        )
    return [_read(folder / "data", name, windows[name]) for name in sorted(windows)]


def _read(folder: Path, name: str, windows: Sequence[Sequence[str]]) -> LabelledSeries:
    path = folder / name
    try:
        table = pd.read_csv(path, usecols=["timestamp", "value"])
        times = pd.to_datetime(table["timestamp"]).to_numpy()
        values = table["value"].to_numpy(np.float64)
    except OSError:
        raise UserError(f"{path} cannot be read, but {_LABELS} names it") from None
    except ValueError as error:
        raise UserError(f"{path} holds no columns timestamp and value: {error}") from None
    unreadable = np.flatnonzero(np.isnat(times) | ~np.isfinite(values))
    if unreadable.size:
        raise UserError(f"{path}, line {unreadable[0] + 2}: stamp or value is missing")

    def row(stamp: str) -> int:
        try:
            found = np.flatnonzero(times == np.datetime64(stamp))
        except (TypeError, ValueError):
            found = np.zeros(0, np.intp)
        if not found.size:
            raise UserError(f"{_LABELS}: {name} has no row of the stamp '{stamp}'")
        return int(found[0])

    pairs = []
    for window in windows:
        try:
            start, end = window
        except (TypeError, ValueError):
            raise UserError(f"{_LABELS}: {name}: {window} is no [start, end]") from None
        pairs.append((row(start), row(end)))
    pairs.sort()
    backwards = any(end < start for start, end in pairs)
    if backwards or any(later[0] <= earlier[1] for earlier, later in pairwise(pairs)):
        raise UserError(f"{_LABELS}: windows of {name} overlap or end before they start")
    return LabelledSeries(name, times, values, tuple(pairs))


def probation(rows: int) -> int:
    """How many rows at the beginning of a file of so many are not scored."""
    return int(min(np.floor(0.15 * rows), 0.15 * 5000))


def alarms(scores: Floats, quiet: int = 100) -> Floats:
    """Scores where an alarm may be raised: once for an event, not again at each of its rows.

    Args:
        scores: `(rows,)`, not negative.
        quiet: rows before a row, all of which its score must exceed.

    Returns:
        `(rows,)`: the score of such a row, 0 for every other.
    """
    before = pd.Series(scores).rolling(quiet, min_periods=1).max().shift(1, fill_value=-np.inf)
    return np.where(scores > before.to_numpy(), scores, 0.0)


def score(
    corpus: Sequence[LabelledSeries], scores: Sequence[Floats]
) -> dict[str, dict[str, float | int]]:
    """NAB's score of a detector in each profile.

    A window that ends within its file's probation does not count.

    Args:
        corpus: the files.
        scores: for each file `(rows,)`; the higher, the more anomalous.

    Returns:
        For each profile the `score`, the `threshold` that is best for all files together (rows of
        at least that score are alarms; infinite where no alarm is best), the windows that are
        `found` with it and the rows that are `false_alarms`.

    Raises:
        ValueError: scores do not fit the rows, or some are not a number.
    """
    worths = [_worths(series, found) for series, found in zip(corpus, scores, strict=True)]
    row_scores = np.concatenate([found for found, _ in worths])
    parts = np.concatenate([part for _, part in worths])
    order = np.argsort(-row_scores, kind="stable")
    row_scores, parts = row_scores[order], parts[order]
    # A threshold takes all rows of the same score or none.
    last = np.append(row_scores[1:] != row_scores[:-1], True)
    thresholds = np.append(np.inf, row_scores[last])
    windows = int(parts[:, 2].sum())
    results: dict[str, dict[str, float | int]] = {}
    for profile, weights in PROFILES.items():
        above_null = np.append(0.0, np.cumsum(parts @ np.asarray(weights))[last])
        best = int(np.argmax(above_null))
        alarmed = parts[row_scores >= thresholds[best]]
        results[profile] = {
            "score": float(100 * above_null[best] / ((weights[0] + weights[2]) * windows)),
            "threshold": float(thresholds[best]),
            "found": int(alarmed[:, 2].sum()),
            "false_alarms": int((alarmed[:, 1] < 0).sum()),
        }
    return results


def _worths(series: LabelledSeries, scores: Floats) -> tuple[Floats, Floats]:
    """Scores of the rows after the probation, and what each adds once the threshold reaches it.

    Returns:
        `(scored,)` and `(scored, 3)`: the second to be multiplied by the weights of a found
        window, a false alarm and a missed window. Rows of a window stand by falling score, so
        that each adds what it is earlier than all above it.
    """
    rows = len(series.values)
    if scores.shape != (rows,) or np.isnan(scores).any():
        raise ValueError(f"{series.name}: scores must be {rows} numbers, not {scores.shape}")
    begin = probation(rows)
    outside = np.arange(rows) >= begin
    # A false alarm before the first window costs as one far behind a window.
    cost = np.full(rows, -1.0)
    chosen, parts = [], []
    for start, end in series.windows:
        outside[start : end + 1] = False
        behind = np.arange(1, rows - end) / max(end - start, 1)
        cost[end + 1 :] = np.where(behind < _FAR, _sigmoid(np.minimum(behind, _FAR)), -1.0)
        inside = np.arange(max(start, begin), end + 1)
        if not inside.size:
            continue
        inside = inside[np.argsort(-scores[inside], kind="stable")]
        place = -(end - inside + 1) / (end - start + 1)
        part = np.zeros((len(inside), 3))
        part[:, 0] = np.diff(np.maximum.accumulate(_sigmoid(place) / _FIRST_ROW), prepend=0.0)
        part[0, 2] = 1.0
        chosen.append(inside)
        parts.append(part)
    false = np.flatnonzero(outside)
    parts.append(np.stack([np.zeros(len(false)), cost[false], np.zeros(len(false))], axis=1))
    return scores[np.concatenate([*chosen, false])], np.concatenate(parts)


def _sigmoid(place: Floats) -> Floats:
    """Almost 1 a window's width before its end, 0 at the end, almost -1 a width behind it."""
    return 2 / (1 + np.exp(5 * place)) - 1


_FIRST_ROW = _sigmoid(np.asarray(-1.0))
