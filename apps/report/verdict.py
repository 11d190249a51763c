"""Whether a run beats its baselines, in words that are right for every outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from apps.report.quantities import Metric, capital, finite, words
from apps.report.record import Record, numbers, section

_NO_BASELINE = "No baseline was measured."
Outcome = Literal["better", "undecided", "worse", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """The result of a run against its best baseline.

    Attributes:
        outcome: `"better"` or `"worse"` only if all of the model's interval is.
        title: the result in one line.
        short: the outcome in a few words.
        sentence: the figures behind it, and how much they show.
        key: name of the metric compared, empty where there is none.
        baseline: name of the best baseline by that metric, empty where there is none.
    """

    outcome: Outcome
    title: str
    short: str
    sentence: str
    key: str = ""
    baseline: str = ""


def judge(record: Record) -> Verdict:
    """Compare a run's first metric with the best baseline, or the first one that baselines have.

    Args:
        record: a run, finished or not.

    Returns:
        The verdict. The interval is that of the model's own figure; a difference counts as shown if
        the baseline's figure lies outside it.
    """
    values = section(record.results, "metrics")
    key = next((name for name in values if record.metric(name).better != "neither"), "")
    if not key:
        return _unfinished(record)
    kind, value = record.metric(key), values[key]
    name = capital(kind.title)
    if not finite(value):
        return Verdict(
            "unknown",
            f"{name} is not a finite number",
            "training diverged",
            "Training diverged: a lower learning rate or a smaller clip norm may help.",
            key,
        )
    rivals = _rivals(record, key)
    for other in values:
        if not rivals and record.metric(other).better != "neither" and finite(values[other]):
            rivals = _rivals(record, other)
            if rivals:
                key, kind, value = other, record.metric(other), values[other]
                name = capital(kind.title)
    span = interval(record, key)
    result = f"{kind.written(value)} {kind.title}"
    measured = f"{name} is {kind.written(value)}{_of_examples(record)}{_in_words(kind, span)}."
    if not rivals:
        told = "No baseline has such a figure." if baseline_metrics(record) else _NO_BASELINE
        return Verdict("unknown", result, "no baseline", f"{measured} {told}", key)
    best = min(rivals, key=lambda rival: _cost(kind, rivals[rival]))
    outcome = _outcome(kind, value, rivals[best], span)
    return Verdict(
        outcome,
        f"{result}, {_distance(kind, value, rivals[best])} {words(best)}",
        _SHORT[outcome],
        f"{measured} {_against(kind, best, value, rivals[best], span)}",
        key,
        best,
    )


def _rivals(record: Record, key: str) -> dict[str, float]:
    """The figure of each baseline that has one."""
    return {
        rival: float(figures[key])
        for rival, figures in baseline_metrics(record).items()
        if finite(figures.get(key))
    }


def interval(record: Record, key: str) -> tuple[float, float] | None:
    """The model's 95 % interval of a metric, where there is one."""
    span = section(record.results, "interval").get(key)
    if isinstance(span, list) and len(span) == 2 and all(map(finite, span)):
        return float(span[0]), float(span[1])
    return None


def baseline_metrics(record: Record) -> Mapping[str, Mapping[str, float]]:
    """The metrics of each baseline, by its name."""
    table = section(record.results, "baselines")
    return {name: numbers(section(table, name)) for name in table}


_SHORT: Mapping[Outcome, str] = {
    "better": "beats the best baseline",
    "undecided": "not shown to differ from the best baseline",
    "worse": "loses to the best baseline",
    "unknown": "not tested against chance",
}


def _unfinished(record: Record) -> Verdict:
    epochs = record.epochs
    planned = section(record.settings, "config").get("epochs")
    if record.results:
        return Verdict(
            "unknown", "No metric was measured", "not measured", "metrics.json has none."
        )
    if not epochs:
        return Verdict(
            "unknown", "No epoch has finished yet", "in progress", "There is nothing to judge yet."
        )
    of = f" of at most {planned}" if finite(planned) else ""
    return Verdict(
        "unknown",
        f"{len(epochs)}{of} epochs done, not evaluated yet",
        "in progress",
        "The curves below are those of the epochs so far; the comparison with the baselines comes "
        "with the final evaluation.",
    )


def _cost(kind: Metric, value: float) -> float:
    """The value, its sign changed if needed so that lower is better."""
    return value if kind.better == "lower" else -value


def _outcome(kind: Metric, value: float, rival: float, span: tuple[float, float] | None) -> Outcome:
    if span is None:
        return "unknown" if value != rival else "undecided"
    if span[0] <= rival <= span[1]:
        return "undecided"
    return "better" if _cost(kind, value) < _cost(kind, rival) else "worse"


def _distance(kind: Metric, value: float, rival: float) -> str:
    if value == rival:
        return "the same as"
    return f"{kind.difference(value - rival)} {'above' if value > rival else 'below'}"


def _of_examples(record: Record) -> str:
    count = section(record.results, "examples").get("validation")
    return f" on {count:,} validation examples" if finite(count) and count != 1 else ""


def _in_words(kind: Metric, span: tuple[float, float] | None) -> str:
    if span is None:
        return ""
    return f" (95\u202f% bootstrap interval {kind.written(span[0])} to {kind.written(span[1])})"


def _against(
    kind: Metric, best: str, value: float, rival: float, span: tuple[float, float] | None
) -> str:
    """The comparison in words: what the best baseline gets, and whether that is a difference."""
    gets = f"The best baseline, {words(best)}, gets {kind.written(rival)}"
    ahead = _cost(kind, value) < _cost(kind, rival)
    if value == rival:
        return f"{gets}: exactly the same."
    if span is None:
        side = "ahead" if ahead else "behind"
        return f"{gets}: the model is {side}, but without an interval that may be chance."
    if span[0] <= rival <= span[1]:
        side = "ahead" if ahead else "behind"
        return (
            f"{gets}. The model is {side}, but its interval includes that figure: "
            "so small a difference may be chance. More validation examples would tell."
        )
    if ahead:
        return f"{gets}, worse than all of that interval: the model beats it."
    return (
        f"{gets}, better than all of that interval: the model loses to it. As it stands, the "
        "baseline is the better choice; more data, more epochs or a search over the configuration "
        "may change that."
    )
