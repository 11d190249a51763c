"""Records as searches leave them, made without a search."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from toy_metrics import METRICS

from tuning.record import DEFAULT, Finalist, SearchRecord, TrialRow
from tuning.settings import SearchSettings

RANGES = {
    "learning_rate": "0.0003:0.01:log",
    "batch_size": "16:128:log",
    "depth": "1:3",
    "units": "32:256:log",
    "bidirectional": "False,True",
    "layer_dropout": "0:0.5",
}
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>[bold]\x1b[31m"
)
OUT_OF_MEMORY = "out of memory, also with batches in halves"


def settings(**changes: Any) -> SearchSettings:
    """What was asked for: accuracy within 20 ms."""
    asked: dict[str, Any] = {
        "application": "sentiment",
        "data": "my reviews.csv",
        "objective": "accuracy",
        "metrics": METRICS,
        "algorithm": "bayesian",
        "trials": 40,
        "minutes": 30.0,
        "budget": {"latency_ms": 20.0},
        "fix": {"ngrams": 3},
        "ranges": RANGES,
    }
    return SearchSettings(**{**asked, **changes})


def rows(count: int, seed: int = 0) -> list[TrialRow]:
    """Trials whose accuracy follows the learning rate; number 7 and each eleventh after it fail."""
    generator = np.random.default_rng(seed)
    made, clock = [], 0.0
    for number in range(count):
        default = number == 0
        depth = 1 if default else int(generator.integers(1, 4))
        widths = [128] if default else [int(2 ** generator.uniform(5, 8)) for _ in range(depth)]
        values: dict[str, Any] = {
            "learning_rate": 3e-3 if default else float(10 ** generator.uniform(-3.5, -2)),
            "batch_size": 32 if default else int(2 ** generator.uniform(4, 7)),
            "depth": depth,
            "units": widths[0] if depth == 1 else widths,
            "bidirectional": bool(number % 2),
        }
        if depth > 1:
            values["layer_dropout"] = float(generator.uniform(0, 0.5))
        score = 0.8 + 0.03 * math.sin(3 * (math.log10(values["learning_rate"]) + 3.5))
        score += float(generator.normal(0, 0.002))
        latency = 2 + sum(widths) / 30
        failed = number % 11 == 7
        seconds = float(generator.uniform(20, 60))
        row = TrialRow(
            f"{number:04}",
            "COMPLETED",
            score,
            values,
            seconds,
            metrics={"accuracy": score, "cross_entropy": 0.4},
            cost={"latency_ms": latency, "parameters": 1000 * sum(widths), "size_mb": 0.5},
            epochs=8,
            feasible=latency <= 20,
            started=clock,
            ended=clock + seconds,
        )
        clock += seconds
        made.append(fail(row, f"{OUT_OF_MEMORY} at step {number}") if failed else row)
    return made


def fail(row: TrialRow, reason: str) -> TrialRow:
    """The same trial, had it failed."""
    return dataclasses.replace(
        row, status="FAILED", score=None, metrics={}, cost={}, epochs=1, reason=reason
    )


def searching(trials: list[TrialRow], **changes: Any) -> SearchRecord:
    """A search that goes on."""
    asked = changes.pop("settings", settings())
    elapsed = max((row.ended or 0.0 for row in trials), default=0.0)
    record = SearchRecord(asked, tuple(trials), elapsed=elapsed)
    ranked = record.leaderboard()
    if ranked:
        first = ranked[0]
        best = {"id": first.id, "score": first.score, "spread": 0.0, "seeds": 0}
        record = dataclasses.replace(record, best={**best, "values": first.values})
    return dataclasses.replace(record, **changes)


def ended(count: int = 24, **changes: Any) -> SearchRecord:
    """A search that is over: the best three and the default retrained, the winner tested."""
    record = searching(rows(count))
    chosen = [*record.leaderboard()[:3], record.trials[0]]
    finals = [final(row, [-0.004, -0.003, -0.005]) for row in chosen]
    return dataclasses.replace(
        record,
        **{
            "finals": tuple(finals),
            "best": best_of(finals[0]),
            "test": {
                "accuracy": 0.836,
                "cross_entropy": 0.38,
                "examples": 500,
                "interval": {"accuracy": [0.82, 0.85]},
                "baselines": {"bag_of_words": {"accuracy": 0.79, "cross_entropy": 0.5}},
            },
            "phase": "done",
            "elapsed": record.elapsed + 500,
            **changes,
        },
    )


def final(row: TrialRow, offsets: list[float]) -> Finalist:
    """A trial retrained, each score so far from the trial's own."""
    scores = [(row.score or 0.0) + offset for offset in offsets]
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    return Finalist(row.id, row.values, tuple(scores), float(np.mean(scores)), spread)


def best_of(one: Finalist) -> dict[str, Any]:
    """The winner as a record names it."""
    return {
        "id": one.trial,
        "score": one.mean,
        "spread": one.spread,
        "seeds": len(one.scores),
        "values": one.values,
    }


def default_of(record: SearchRecord) -> Finalist:
    """The default configuration among the finals."""
    return next(one for one in record.finals if one.trial == DEFAULT)
