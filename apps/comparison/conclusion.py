"""What a comparison's measurements come to: its tables, and which model to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.application import Application
from apps.comparison.contenders import Contender
from apps.comparison.recommendation import competitors, recommend
from apps.components import Task
from apps.errors import UserError
from apps.report.quantities import Metric

# Networks that have begun fewer epochs say little of what they could do.
_FEW_EPOCHS = 3


def concluded(
    application: Application,
    found: Sequence[Contender],
    results: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The tables and the recommendation.

    Args:
        application: that is compared.
        found: the stacks.
        results: of each stack, its learning rate and what its trainings have measured.

    Returns:
        `metric`, `stacks`, `baselines` and `recommendation`, as `compare` gives them.

    Raises:
        UserError: no training has come to its end, or none has the metric.
    """
    failed = {
        name: next(run["failed"] for run in result["runs"] if "failed" in run)
        for name, result in results.items()
        if any("failed" in run for run in result["runs"])
    }
    raced = {name: one["runs"] for name, one in results.items() if name not in failed}
    if not raced:
        raise UserError(f"no training has come to its end: {next(iter(failed.values()))}")
    metric = _deciding(application.judge, application.task, next(iter(raced.values())))
    stacks, naive = competitors(metric, raced)
    if not stacks:
        raise UserError(f"{metric.title}: no stack has it on the rows that all are measured on")
    chosen = recommend(metric, stacks, naive)
    values = {one.name: list(one.values) for one in stacks}
    tables = []
    for one in found:
        result = results[one.stack]
        about = {
            "stack": one.stack,
            "units": one.units,
            "parameters": one.parameters,
            "learning_rate": result["learning_rate"],
        }
        if one.stack in failed:
            tables.append({**about, "failed": failed[one.stack]})
            continue
        runs = result["runs"]
        costs = {
            name: float(np.median([run["cost"][name] for run in runs]))
            for name in ("ms_per_example", "peak_memory_mb", "size_mb")
        }
        layers = runs[0]["layers"]
        tables.append(
            {
                **about,
                "values": values.get(one.stack, []),
                **costs,
                "cpu_seconds": float(np.median([run["cpu_seconds"] for run in runs])),
                "epochs": [run["epochs"] for run in runs],
                "recurrent_layers": len(layers),
                "off_cudnn": [layer["layer"] for layer in layers if not layer["cudnn"]],
                "metrics": [_figures(run["test"]) for run in runs],
            }
        )
    return {
        "metric": metric.name,
        "stacks": tables,
        "baselines": {one.name: one.mean for one in naive},
        "recommendation": {
            "choice": chosen.choice,
            "sentence": chosen.sentence,
            "reason": chosen.reason + _hurried(raced),
        },
    }


def _deciding(judge: Metric, task: Task, runs: Sequence[Mapping[str, Any]]) -> Metric:
    """The objective, or the first metric with a direction that a baseline has too."""
    test = runs[0]["test"]
    for metric in (judge, *task.metrics):
        if metric.better == "neither" or test.get(metric.name) is None:
            continue
        if any(one.get(metric.name) is not None for one in test["baselines"].values()):
            return metric
    return judge


def _hurried(raced: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A warning where the minutes ended before the networks had seen the rows a few times."""
    few = [
        name
        for name, runs in raced.items()
        if any(
            run.get("stopped") == "minutes" and run["epochs_begun"] < _FEW_EPOCHS for run in runs
        )
    ]
    if not few:
        return ""
    return (
        f" But the minutes were over before epoch {_FEW_EPOCHS} of {', '.join(few)}: "
        "ask again with more --minutes before you rely on it."
    )


def _figures(test: Mapping[str, Any]) -> dict[str, Any]:
    return {name: test[name] for name in test["interval"]}
