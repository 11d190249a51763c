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
    """The simplest baseline that is as good as any, or the fastest network of those that are.

    Args:
        metric: that decides.
        stacks: the trained ones.
        baselines: those that have the metric, the simplest first.
    """

    def order(one: Competitor) -> float:
        return -one.mean if metric.better == "higher" else one.mean

    best = min(stacks, key=order)
    written = _written(metric, best)
    naive = min(baselines, key=order, default=None)
    enough = [one for one in baselines if one.reaches(best) or order(one) <= order(best)]
    if naive is not None and naive in enough:
        # Applications name the simplest baseline first.
        chosen = next(one for one in enough if one is naive or one.reaches(naive))
        said = "cannot be told from" if chosen.reaches(best) else "is better than"
        reason = (
            f"Its {metric.title} of {metric.written(chosen.mean)} {said} that of the best network, "
            f"{best.name} with {written}, and it needs no network."
        )
        if chosen is not naive:
            better = f"{naive.name} with {metric.written(naive.mean)}"
            reason += f" The best baseline, {better}, cannot be told from it."
        if chosen is baselines[0]:
            reason += " Nothing that was tried is clearly better than this simplest baseline."
        return Recommendation(chosen.name, f"Take the baseline {chosen.name}.", reason)
    equal = [one for one in stacks if one is best or one.reaches(best)]
    # A faster one that a baseline reaches would be a worse choice than that baseline.
    ahead = [one for one in equal if one is best or not any(b.reaches(one) for b in baselines)]
    cheapest = min(ahead, key=lambda one: one.milliseconds or 0.0)
    chosen = best
    if (cheapest.milliseconds or 0.0) < _FASTER * (best.milliseconds or 0.0):
        chosen = cheapest
    behind = f"; the best baseline, {naive.name}, has {metric.written(naive.mean)}" if naive else ""
    if chosen is best:
        others = ", ".join(one.name for one in ahead if one is not best)
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
        sign = -1 if metric.better == "higher" else 1
        # Of an even number of seeds the worse of the two in the middle.
        draws = runs[int(np.argsort(sign * np.array(values))[len(values) // 2])]["draws"]
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
    if metric.written(low) == metric.written(high):
        return metric.written(one.mean)
    return f"{metric.written(one.mean)} ({metric.written(low)} to {metric.written(high)})"
