"""Which of the compared models to take, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.report.bootstrap import interval_of
from apps.report.quantities import Metric

# One model answers faster than another if it takes less than this share of its time.
_FASTER = 0.8


@dataclass(frozen=True)
class Competitor:
    """A stack or a baseline with its figures on the test rows.

    Attributes:
        name: its name.
        values: the metric, one value for each seed.
        draws: the metric on resampled test units with the middle seed, the same units for all;
            None where it is not always defined.
        milliseconds: of one answer; None for a baseline.
    """

    name: str
    values: Sequence[float]
    draws: Sequence[float] | None = None
    milliseconds: float | None = None

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))

    def reaches(self, other: Competitor) -> bool:
        """Whether it cannot be told from a better one, by the spread over seeds or over rows."""
        low, high = min(other.values), max(other.values)
        if self.draws is not None and other.draws is not None:
            span = interval_of(np.subtract(self.draws, other.draws).tolist())
            if span is not None and span[0] <= 0.0 <= span[1]:
                return True
        return min(self.values) <= high and max(self.values) >= low


@dataclass(frozen=True)
class Recommendation:
    """What to take.

    Attributes:
        choice: a name of a stack or of a baseline.
        sentence: what to take.
        reason: why.
    """

    choice: str
    sentence: str
    reason: str


def recommend(
    metric: Metric, stacks: Sequence[Competitor], baselines: Sequence[Competitor]
) -> Recommendation:
    """The cheapest model among those that cannot be told from the best one.

    Args:
        metric: that decides.
        stacks: the trained ones.
        baselines: those that have the metric.
    """

    def order(one: Competitor) -> float:
        return -one.mean if metric.better == "higher" else one.mean

    best = min(stacks, key=order)
    written = _written(metric, best)
    naive = min(baselines, key=order, default=None)
    alike = naive is not None and naive.reaches(best)
    if naive is not None and (alike or order(naive) <= order(best)):
        return Recommendation(
            naive.name,
            f"Take the baseline {naive.name}.",
            f"Its {metric.title} of {metric.written(naive.mean)} "
            + ("cannot be told from" if alike else "is better than")
            + f" that of the best network, {best.name} with {written}, and it needs no network.",
        )
    equal = [one for one in stacks if one is best or one.reaches(best)]
    cheapest = min(equal, key=lambda one: one.milliseconds or 0.0)
    chosen = best
    if (cheapest.milliseconds or 0.0) < _FASTER * (best.milliseconds or 0.0):
        chosen = cheapest
    behind = f"; the best baseline, {naive.name}, has {metric.written(naive.mean)}" if naive else ""
    if chosen is best:
        others = ", ".join(one.name for one in equal if one is not best)
        equals = f" Not to be told from it, but not much faster: {others}." if others else ""
        reason = f"Its {metric.title} is the best, {written}{behind}.{equals}"
    else:
        reason = (
            f"Its {metric.title} of {_written(metric, chosen)} cannot be told from the best, "
            f"{best.name} with {written}, and it answers in {chosen.milliseconds:.3g} ms instead "
            f"of {best.milliseconds:.3g} ms{behind}."
        )
    return Recommendation(chosen.name, f"Take the stack {chosen.name}.", reason)


def competitors(
    metric: Metric, results: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[list[Competitor], list[Competitor]]:
    """Stacks and baselines that have the metric, from what was measured with each seed.

    Args:
        metric: that decides.
        results: by stack, what `trained` gives for each seed.
    """
    stacks: list[Competitor] = []
    naive: dict[str, list[float]] = {}
    drawn: dict[str, Sequence[float] | None] = {}
    for name, runs in results.items():
        tests = [run["test"] for run in runs]
        values = [test[metric.name] for test in tests if test[metric.name] is not None]
        if len(values) < len(tests):
            continue
        draws = runs[int(np.argsort(values)[len(values) // 2])]["draws"]
        speed = float(np.median([run["cost"]["ms_per_example"] for run in runs]))
        stacks.append(Competitor(name, values, draws[""].get(metric.name), speed))
        for other in tests[0]["baselines"]:
            figures = [test["baselines"][other].get(metric.name) for test in tests]
            known = [value for value in figures if value is not None]
            if len(known) == len(figures):
                naive.setdefault(other, []).extend(known)
                drawn[other] = draws[other].get(metric.name)
    return stacks, [Competitor(name, values, drawn[name]) for name, values in naive.items()]


def _written(metric: Metric, one: Competitor) -> str:
    """The mean, and from where to where the seeds lie."""
    low, high = min(one.values), max(one.values)
    if len(one.values) == 1:
        return metric.written(one.mean)
    return f"{metric.written(one.mean)} ({metric.written(low)} to {metric.written(high)})"
