"""What a search found, in one sentence, whatever it was."""

from __future__ import annotations

from apps.report.quantities import capital, duration, finite
from apps.report.record import numbers, section
from apps.report.verdict import Verdict
from tuning.record import DEFAULT, Finalist, SearchRecord
from tuning.report.objective import Objective


def judge(record: SearchRecord) -> Verdict:
    """The winner against the default configuration.

    Args:
        record: a search at any stage.

    Returns:
        The verdict; `"better"` only where the winner's mean over seeds lies above the default's by
        more than either of them varies from seed to seed.
    """
    objective = Objective.of(record.settings)
    if record.best is None:
        return _nothing(record)
    if not record.finals or record.phase != "done":
        return _unconfirmed(record, objective)
    winner = record.finals[0]
    default = next((one for one in record.finals if one.trial == DEFAULT), None)
    reached = f"{objective.written(winner.mean)} {objective.title}"
    found = f"{_scored(winner, objective)}{tested(record)}"
    if winner.trial == DEFAULT:
        return Verdict(
            "undecided",
            f"No better than the default: {reached}",
            "no better than the default",
            f"The default configuration came out best: {found}. A longer search may find more.",
        )
    if default is None:
        return Verdict(
            "unknown",
            reached,
            "not compared with the default",
            f"Trial {winner.trial} won: {found}. The default was not retrained beside it.",
        )
    gain = objective.gain(winner.mean, default.mean)
    side = "above" if objective.maximise else "below"
    title = f"{reached}, {objective.width(gain)} {side} the default"
    against = f"the default configuration gets {_scored(default, objective)}"
    sentence = f"Trial {winner.trial} won: {found}; {against}."
    if min(len(winner.scores), len(default.scores)) < 2:
        return Verdict(
            "unknown",
            title,
            "one seed each",
            f"{sentence} With one seed each, the difference may be chance.",
        )
    if gain <= max(winner.spread, default.spread):
        return Verdict(
            "undecided",
            title,
            "not shown to differ from the default",
            f"{sentence} The difference is no larger than what seeds make: it may be chance.",
        )
    return Verdict("better", title, "beats the default", sentence)


def spent(record: SearchRecord) -> str:
    """What the search has cost, as a sentence."""
    done = sum(row.status == "COMPLETED" for row in record.trials)
    failed = sum(row.status == "FAILED" for row in record.trials)
    retrained = sum(len(one.scores) for one in record.finals)
    parts = [f"{done} completed", f"{failed} failed"]
    running = len(record.trials) - done - failed
    parts += [f"{running} running"] if running else []
    finals = f" and {_counted(retrained, 'retraining')}" if retrained else ""
    return (
        f"{_counted(len(record.trials), 'trial')} ({', '.join(parts)}){finals} "
        f"in {duration(record.elapsed)}."
    )


def tested(record: SearchRecord) -> str:
    """The winner's figure on the test source as a clause; empty where there is none."""
    name = record.settings.objective
    value = test_metrics(record).get(name)
    if not finite(value):
        return ""
    span = section(record.test or {}, "interval").get(name)
    kind = record.settings.metric(name)
    interval = ""
    if isinstance(span, (list, tuple)) and len(span) == 2 and all(map(finite, span)):
        interval = f" (95\u202f% interval {kind.written(span[0])} to {kind.written(span[1])})"
    return f", and {Objective.of(record.settings).written(value)} on the test source{interval}"


def test_metrics(record: SearchRecord) -> dict[str, float]:
    """The metrics on the test source by name; empty where there is none."""
    test = record.test or {}
    return numbers(section(test, "metrics") or test)


def _nothing(record: SearchRecord) -> Verdict:
    failed = sum(row.status == "FAILED" for row in record.trials)
    if record.trials and failed == len(record.trials):
        return Verdict(
            "worse",
            "Every trial failed" if record.phase == "done" else "Every trial so far has failed",
            "nothing found",
            "The reasons stand below, and the whole output of a trial in its trial.log.",
        )
    if any(row.score is not None for row in record.trials):
        return Verdict(
            "worse",
            "No trial is within the budget",
            "nothing found",
            "Raise the budget, or let the search begin at smaller models with --space.",
        )
    return Verdict(
        "unknown", "No trial has completed yet", "in progress", "There is nothing to compare yet."
    )


def _unconfirmed(record: SearchRecord, objective: Objective) -> Verdict:
    """Before the finals: the best of many single trainings."""
    best = record.best or {}
    score, trial = best.get("score"), str(best.get("id", ""))
    reached = f"{objective.written(score)} {objective.title}"
    default = next((row.score for row in record.trials if row.id == DEFAULT), None)
    beside = f" The default configuration got {objective.written(default)}." if default else ""
    bright = (
        "It is the best of several trainings by the figure that chose it, which leans to the "
        "bright side."
    )
    if record.phase == "done":
        return Verdict(
            "unknown",
            f"{reached}, trial {trial}",
            "not retrained",
            f"Trial {trial} scored best{tested(record)}.{beside} {bright}",
        )
    step = "The finals run" if record.phase == "finals" else "The search goes on"
    return Verdict(
        "unknown",
        f"{reached} so far, trial {trial}",
        "in progress",
        f"{step}; trial {trial} is ahead.{beside} {bright}",
    )


def _scored(one: Finalist, objective: Objective) -> str:
    seeds = len(one.scores)
    if seeds < 2:
        return f"{objective.written(one.mean)} with one seed"
    return f"{objective.written(one.mean)} ± {objective.width(one.spread)} over {seeds} seeds"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def headline(record: SearchRecord) -> str:
    """The application and what was done, for the line above the verdict."""
    return f"{capital(record.settings.application)}: {record.settings.algorithm} search"
