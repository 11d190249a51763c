"""Walk forward through series: train, measure on what follows, train again with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from apps import environment, strict_json
from apps.atomic import write_atomically
from apps.data.sources import SAMPLE
from apps.errors import UserError
from apps.training.plan import Plan
from apps.training.run import FinishedRun
from apps.training.run_folder import RunFolder, new_run_folder
from apps.training.train import train

_RESULT = "backtest.json"


def backtest(
    application: str,
    data: Any = "sample",
    *,
    folds: int = 5,
    since: str | None = None,
    until: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    minutes: float | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    log: Callable[[str], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Measure an application on several stretches, each by a model that saw nothing of it or later.

    Tashman 2000, "Out-of-sample tests of forecasting accuracy: an analysis and review": a rolling
    origin with a growing window. Each fold is a run of its own, `DIR/fold-1` and so on.

    Args:
        application: a name of the catalogue.
        data: a source.
        folds: stretches of equal length.
        since: where the first one begins; in the middle unless given.
        until: where the last one ends; at the end unless given.
        labels: of sensors, a file with the windows that are anomalies.
        columns: the application's column names to the source's, where they differ.
        minutes: budget of all trainings together.
        seed: of every training.
        run: the folder of the runs; named after application and time unless given.
        resume: go on with a backtest that was interrupted.
        log: takes progress lines; standard error unless given.
        **settings: hyperparameters of the application.

    Returns:
        `folds`, each with `since`, `until`, `run` and all that `evaluate` gives; `mean` and
        `deviation` of each metric over the folds; `baselines`, the means of each. `backtest.json`
        in the folder holds it too.

    Raises:
        UserError: rows stand in no order of time, or are too few; settings or data are at fault.
    """
    say = log or environment.say
    if folds < 1:
        raise UserError(f"folds={folds}: give at least 1")
    folder = Path(run or f"{new_run_folder(application)}-backtest")
    if folder.exists() and not resume:
        raise UserError(f"{folder}: is there already; go on with --resume, or name another folder")
    plan = Plan(
        application,
        data,
        columns=columns,
        seed=seed,
        settings=settings,
        since=since,
        until=until,
        labels=labels,
    )
    if plan.trains_each:
        raise UserError("scope=each: a backtest walks with one model; take scope=shared")
    rows = plan.read()
    if isinstance(data, str) and data == SAMPLE:
        # A run is evaluated on another sample than it has learnt from.
        data = [
            dict(zip(rows.columns, row, strict=True))
            for row in zip(*plan.kind.sample(seed).columns.values(), strict=True)
        ]
    origins = plan.kind(plan.config, seed).input.origins(rows, folds, since is not None)
    found = []
    for number in range(folds):
        first, last = origins[number], origins[number + 1]
        say(f"fold {number + 1} of {folds}: learns until {first}, is measured until {last}")
        child = train(
            application,
            data,
            columns=columns,
            minutes=None if minutes is None else minutes / folds,
            seed=seed,
            run=folder / f"fold-{number + 1}",
            resume=resume and not RunFolder(folder / f"fold-{number + 1}").unbegun(),
            log=log,
            until=first,
            labels=labels,
            **settings,
        )
        measured = FinishedRun(child).evaluate(
            data, columns=columns, since=first, until=last, labels=labels
        )
        found.append({"since": first, "until": last, "run": child.name, **measured})
    result = {"folds": found, **_summary(found)}
    content = strict_json.dumps(result).encode()
    write_atomically(folder / _RESULT, lambda stream: stream.write(content))
    return result


def _summary(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the folds, of the model and of each baseline."""
    names = list(folds[0]["interval"])

    def figures(of: list[dict[str, Any]], how: Any) -> dict[str, Any]:
        found = {}
        for name in names:
            values = [metrics[name] for metrics in of]
            known = [value for value in values if value is not None]
            found[name] = float(how(known)) if known else None
        return found

    return {
        "mean": figures(folds, np.mean),
        "deviation": figures(folds, np.std),
        "baselines": {
            other: figures([fold["baselines"][other] for fold in folds], np.mean)
            for other in folds[0]["baselines"]
        },
    }
