"""Figures of an experiment's results: means and spreads over seeds, directions, how they look."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apps import catalogue
from apps.report.quantities import MISSING, Metric, finite
from benchmarks.experiment import Experiment
from benchmarks.experiment_runs import Result

# NAB's score is no metric of a task: its profiles weigh false alarms and misses differently.
_PROFILES = {
    "standard": Metric("standard", "NAB score, standard profile", "higher"),
    "low_fp": Metric("low_fp", "low-FP profile", "higher"),
    "low_fn": Metric("low_fn", "low-FN profile", "higher"),
}


def metric_of(experiment: Experiment, name: str) -> Metric:
    """The metric of that name, as the application's task declares it."""
    if experiment.module:
        return _PROFILES[name]
    return catalogue.load(experiment.application).task.metric(name)


def mean(values: Iterable[Any]) -> float | None:
    """The mean of those that are numbers; None where there are none."""
    numbers = [value for value in values if finite(value)]
    return statistics.fmean(numbers) if numbers else None


def spread(values: Iterable[Any]) -> float | None:
    """The standard deviation of a sample, None for fewer than two numbers."""
    numbers = [value for value in values if finite(value)]
    return statistics.stdev(numbers) if len(numbers) > 1 else None


def best(metric: Metric, values: Mapping[str, float | None]) -> str | None:
    """The name with the best value; None where no value is a number."""
    found = None
    for name, value in values.items():
        if value is not None and metric.beats(value, None if found is None else values[found]):
            found = name
    return found


def reached(metric: Metric, value: float, bar: float) -> bool:
    """Whether a value is at the bar or better."""
    return value == bar or metric.beats(value, bar)


def written(value: Any, large: bool, digits: int = 0) -> str:
    """A figure with no more decimals than it has: at most four, or two where figures are large.

    Args:
        value: the figure; a dash stands for what is not a finite number.
        large: whether figures of its kind are.
        digits: decimals that it has at least.
    """
    if not finite(value):
        return MISSING
    most, least = (2, 1) if large else (4, 3)
    whole, _, decimals = f"{value:.{most}f}".partition(".")
    least = max(least, min(digits, most))
    return f"{whole}.{decimals[:least]}{decimals[least:].rstrip('0')}"


def alike(values: Sequence[Any], large: bool) -> list[str]:
    """Figures with the same number of decimals."""
    digits = decimals_of(values, large)
    return [written(value, large, digits) for value in values]


def decimals_of(values: Sequence[Any], large: bool) -> int:
    """The most decimals that one of the figures needs."""
    return max(len(written(value, large).partition(".")[2]) for value in values)


@dataclass(frozen=True)
class Seeds:
    """Results of one experiment that belong together, by seed.

    Attributes:
        experiment: which one.
        results: at least one, in the order of their seeds; all run, or all transcribed.
    """

    experiment: Experiment
    results: Sequence[Result]

    @cached_property
    def transcribed(self) -> str:
        """Where the figures were taken from, empty where they were run."""
        return self.results[0].get("transcribed", "")

    @property
    def mark(self) -> str:
        """A dagger where the figures are transcribed."""
        return " †" if self.transcribed else ""

    @property
    def seeds(self) -> str:
        """The seeds in words: `seed 0`, `seeds 0, 1, 2`."""
        numbers = [str(result["seed"]) for result in self.results]
        return f"seed{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"

    def measured(self, on: str) -> list[Result]:
        """What was measured on one of the test sets, by seed; empty where it was not."""
        return [one["measured"][on] for one in self.results if on in one["measured"]]

    def values(self, metric: str, on: str = "") -> list[Any]:
        """The figures of a metric, by seed."""
        return [one.get(metric) for one in self.measured(on or self.first)]

    def others(self, kind: str, metric: str, on: str = "") -> dict[str, float | None]:
        """The mean figure of each of the `baselines` or `decoders`, by name."""
        tables = [one.get(kind, {}) for one in self.measured(on or self.first)]
        names = dict.fromkeys(name for table in tables for name in table)
        return {name: mean(table.get(name, {}).get(metric) for table in tables) for name in names}

    @property
    def first(self) -> str:
        """The test set that tables are about."""
        return self.experiment.evaluations[0].on

    def large(self, metric: str) -> bool:
        """Whether the metric's figures are of a size at which four decimals say nothing."""
        found = [*self.values(metric), *self.others("baselines", metric).values()]
        return any(finite(value) and abs(value) >= 10 for value in found)

    def said(self, metric: str, on: str = "") -> str:
        """The mean over seeds."""
        return written(mean(self.values(metric, on)), self.large(metric))

    def uncertainty(self, metric: str, on: str = "", each: bool = True) -> str:
        """The deviation, with each seed if wanted; of one seed the 95 % interval, or nothing."""
        large = self.large(metric)
        values = [value for value in self.values(metric, on) if finite(value)]
        deviation = spread(values)
        if deviation is not None:
            most = decimals_of(values, large)
            told = ", ".join(alike(values, large)) if each else f"{len(values)} seeds"
            return f"± {deviation:.{most}f} ({told})"
        for one in self.measured(on or self.first):
            ends = one.get("interval", {}).get(metric)
            if ends:
                return " to ".join(alike(ends, large))
        return ""

    def minutes(self) -> str:
        """Minutes of training, by seed; once where they are told in words for all."""
        found = [one["minutes"] for one in self.results if "minutes" in one]
        if any(isinstance(one, str) for one in found):
            return ", ".join(dict.fromkeys(map(str, found)))
        return f"{', '.join(map(str, found))} minutes" if found else MISSING


def by_origin(experiment: Experiment, results: Mapping[tuple[str, int], Result]) -> list[Seeds]:
    """An experiment's results: those that were run, then those that were transcribed."""
    own = [results[key] for key in sorted(results) if key[0] == experiment.name]
    parts = [[one for one in own if ("transcribed" in one) is wanted] for wanted in (False, True)]
    return [Seeds(experiment, part) for part in parts if part]
