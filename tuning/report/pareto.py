"""The trials that no other one beats in both metric and cost."""

from __future__ import annotations

from collections.abc import Sequence

from apps.report.quantities import finite

Point = tuple[float | None, float | None]


def front(points: Sequence[Point], maximise: bool) -> list[int]:
    """The non-dominated points of metric against cost.

    Args:
        points: metric and cost of each, where a lower cost is better; a point without finite values
            of both is never on the front.
        maximise: whether a larger metric is the better one.

    Returns:
        Indices into `points`, cheapest first, those of equal cost by index. Points that are equal
        in both are all on the front, since none beats another.
    """
    sign = -1.0 if maximise else 1.0
    ordered = sorted(
        (cost, sign * score, index)
        for index, (score, cost) in enumerate(points)
        if finite(score) and finite(cost) and score is not None and cost is not None
    )
    chosen: list[int] = []
    best: tuple[float, float] | None = None
    for cost, loss, index in ordered:
        if best is None or loss < best[1] or (cost, loss) == best:
            chosen.append(index)
            best = (cost, loss)
    return chosen
