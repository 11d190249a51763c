"""From a data source to a finished run folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from apps import environment
from apps.training.distribution import distribute
from apps.training.each import train_each
from apps.training.plan import Plan
from apps.training.run import FinishedRun
from apps.training.run_folder import RunFolder, new_run_folder
from apps.training.session import Session


def train(
    application: str,
    data: Any = "sample",
    *,
    validation: Any = None,
    columns: Mapping[str, str] | None = None,
    minutes: float | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    log: Callable[[str], None] | None = None,
    strategy: str | None = None,
    since: str | None = None,
    until: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Path:
    """Train an application on a data source.

    Args:
        application: a name of the catalogue.
        data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
        validation: a source to choose by; a part of `data` is held out where it is None.
        columns: the application's column names to the source's, where they differ.
        minutes: budget of the whole call; the learning rate falls to zero within it.
        seed: seeds weights, dropout, data order and splits.
        run: the run folder; named after application and time unless given.
        resume: go on with a run that was interrupted, from its start where it had not got as far
            as making its folder.
        log: takes progress lines; standard error unless given.
        strategy: `mirrored` for all devices of this process, `multiworker` for all processes that
            `TF_CONFIG` names, each of which makes the same call; one device unless given.
        since, until: of series, rows from one time to before another count; `#N` is the row that N
            rows come before.
        labels: of sensors, a file with the windows that are anomalies.
        **settings: hyperparameters of the application.

    Returns:
        The folder of the finished run.

    Raises:
        UserError: settings, data or folder are at fault; nothing is left half-written.
        KeyboardInterrupt: with everything on disk that `resume` needs.
    """
    say = log or environment.say
    plan = Plan(
        application,
        data,
        validation=validation,
        columns=columns,
        seed=seed,
        settings=settings,
        since=since,
        until=until,
        labels=labels,
    )
    if plan.trains_each:
        where = run or new_run_folder(application)
        return train_each(plan, train, run=where, resume=resume, minutes=minutes, say=say)
    folder = RunFolder(run or new_run_folder(application))
    distribution = distribute(strategy, say)

    def state() -> bytes:
        done = resume and folder.metrics.is_file() and folder.model.is_file()
        return b"finished" if done else b""

    if distribution.from_chief(state):
        plan.require_same(folder)
        say(f"{folder.path}: training has finished already")
        if not folder.report.is_file():
            say(f"report: {FinishedRun(folder.path).report()}")
        return folder.path
    session = Session(
        plan, minutes=minutes, run=folder.path, resume=resume, log=say, strategy=distribution
    )
    # Before the model, so that its epochs can be read against what they have to beat.
    session.baselines()
    return session.finish()
