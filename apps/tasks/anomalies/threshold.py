"""From which score on a row is flagged, so that alarms are as seldom as asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A tail is fitted to this share of the largest peaks, and to no fewer than so many.
_TAIL, _FEWEST = 0.2, 10


def threshold_for(scores: Sequence[np.ndarray], block: int, share: float) -> float:
    """The score that the highest one of a block reaches in so large a share of rows.

    Where the rows are too few to have seen it, the largest peaks are gone on with as an exponential
    tail (Coles 2001, "An introduction to statistical modeling of extreme values", chapter 4).

    Args:
        scores: of stretches of rows, NaN where a row does not count.
        block: rows that raise one alarm at most.
        share: alarms per row.

    Returns:
        The threshold; infinite where there is no score at all.
    """
    peaks = []
    for one in scores:
        for start in range(0, len(one), block):
            piece = one[start : start + block]
            piece = piece[np.isfinite(piece)]
            if len(piece):
                peaks.append(float(piece.max()))
    if not peaks:
        return float("inf")
    ordered = np.sort(peaks)[::-1]
    wanted = min(share * block, 1.0)
    tail = ordered[: max(int(_TAIL * len(ordered)), min(_FEWEST, len(ordered)))]
    if wanted * len(ordered) >= 1 or len(tail) < 2:
        return float(np.quantile(ordered, 1.0 - wanted))
    begin = float(tail[-1])
    spread = float((tail - begin).mean())
    return begin + spread * float(np.log(len(tail) / len(ordered) / wanted))
