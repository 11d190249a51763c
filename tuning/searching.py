"""A search from beginning to end: trials, finals, the winner's run."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from apps import catalogue, environment
from apps.data import parse_rename
from apps.errors import UserError
from tuning.arguments import Asked, SearchArguments
from tuning.clock import Clock
from tuning.conclusion import conclude, measure_and_export
from tuning.folder import SearchFolder, new_search_folder, read_json, read_settings
from tuning.found import Found
from tuning.oracles import make_oracle
from tuning.oversight import Oversight
from tuning.scheduler import LocalScheduler
from tuning.settings import SearchSettings, read_budget
from tuning.sources import read_sources
from tuning.space import Space, written
from tuning.trials.executor import Executor
from tuning.trials.worker import work

_TRIALS, _LARGEST_GRID = 30, 10_000


def search(application: str, data: Any = "sample", **arguments: Any) -> Found:
    """Search the hyperparameters of an application; see `tuning.search`.

    The default configuration is the first trial. The best trials are retrained with fresh seeds,
    and the best mean wins; its run is finished with baselines and a report, measured once on the
    test source, and exported where that is asked for.
    """
    asked = SearchArguments.of({**arguments, "data": data})
    kind = catalogue.load(application)
    points = Space(kind.Config, asked.fix, asked.space)
    settings = _settings(application, kind, asked, points)
    probe = kind(
        kind.Config.from_values({**points.fixed, "objective": settings.objective}), asked.seed
    )
    clock = Clock()
    say = asked.log or environment.say
    folder = SearchFolder(asked.run or new_search_folder(application))
    going_on = asked.resume and folder.begun()
    if going_on:
        began = read_settings(folder.path)
        began.require_same(
            dataclasses.replace(settings, fingerprint=began.fingerprint), str(folder.path)
        )
    else:
        folder.require_new()
        if asked.resume:
            say(f"{folder.path}: holds nothing to go on from; the search starts from the beginning")
    settings, in_memory = read_sources(
        settings, probe, folder, asked.data, asked.validation, asked.test
    )
    try:
        if going_on:
            began.require_same(settings, str(folder.path))
            folder.lock()
        else:
            folder.create(settings, in_memory)
        if folder.result.is_file():
            say(f"{folder.path}: the search has ended already; for more trials, search anew")
            settings = _as_it_ended(folder, began, settings)
        else:
            folder.write_json(folder.settings, settings.to_dict())
            _run(folder, settings, points, clock, probe.config.epochs, asked)
        return measure_and_export(folder, settings, asked.export, say)
    finally:
        folder.unlock()


def _settings(
    application: str, kind: type[Any], asked: SearchArguments, points: Space
) -> SearchSettings:
    """What is asked for, with the application's own defaults, and ready for JSON.

    Raises:
        UserError: columns, objective or budget are none, or the grid is too large.
    """
    columns = asked.columns
    if isinstance(columns, str):
        columns = parse_rename(columns, kind.columns())
    trials = asked.trials
    if trials is None and asked.minutes is None:
        trials = _own_end(asked.algorithm, points)
    given = {one.name: getattr(asked, one.name) for one in dataclasses.fields(Asked)}
    changed = {
        "data": _name(asked.data),
        "validation": _name(asked.validation),
        "test": _name(asked.test),
        "columns": dict(columns),
        "trials": trials,
        "objective": kind.checked_objective(
            asked.objective or kind.objective or kind.task.objective
        ),
        "budget": read_budget(asked.budget),
        "fix": {key: list(v) if isinstance(v, tuple) else v for key, v in points.fixed.items()},
        "space": {key: written(value) for key, value in asked.space.items()},
    }
    return SearchSettings(
        application=application,
        ranges=points.described(),
        metrics=tuple(kind.task.metrics),
        **{**given, **changed},
    )


def _as_it_ended(
    folder: SearchFolder, began: SearchSettings, asked: SearchSettings
) -> SearchSettings:
    """The settings of an ended search; a test source may be added if it had none.

    Raises:
        UserError: the winner was measured on another test source.
    """
    measured = read_json(folder.result).get("test")
    if measured is None:
        added = dataclasses.replace(began, test=asked.test, test_overlap=asked.test_overlap)
        folder.write_json(folder.settings, added.to_dict())
        return added
    if asked.test is not None and asked.test != began.test:
        raise UserError(
            f"{folder.path}: the winner was measured on {began.test}, once; measure it on other "
            f"data with `python -m apps evaluate {folder.final} --data {asked.test}`"
        )
    return began


def _run(
    folder: SearchFolder,
    settings: SearchSettings,
    points: Space,
    clock: Clock,
    epochs: int,
    asked: SearchArguments,
) -> None:
    """Search from where the folder stands to the winner's finished run."""
    oracle = make_oracle(settings, points, folder.path, clock, epochs=epochs)
    oracle.finals.workers = max(asked.workers, 1)
    several = asked.workers > 1 or asked.listen is not None
    if folder.state.is_file():
        oracle.reload(keep_ongoing=several)
    scheduler = LocalScheduler(oracle)
    with Oversight(folder, scheduler, asked.log) as oversight:
        if several:
            _run_as_chief(scheduler, folder, asked, oversight)
        else:
            with Executor(memory_mb=asked.memory_mb) as executor:
                # The leaderboard tells of each trial.
                work(scheduler, executor, "local-0", lambda line: None)
    conclude(folder, scheduler, clock.elapsed(), asked.log or environment.say)


def _run_as_chief(
    scheduler: LocalScheduler, folder: SearchFolder, asked: SearchArguments, oversight: Oversight
) -> None:
    """Serve the search to workers, those of this machine included, until it is over."""
    from tuning.distributed import Chief, LocalWorkers

    chief = Chief(scheduler, asked.listen or "127.0.0.1:0", log=oversight.say)
    chief.start()
    try:
        if asked.listen is not None:
            oversight.say(
                f"workers may join: python -m tuning worker --chief {chief.public_address} --id K"
            )
        if not asked.workers:
            chief.wait()
            return
        local = LocalWorkers(
            asked.workers,
            chief.address,
            folder.path,
            memory_mb=asked.memory_mb,
            log=oversight.say,
        )
        try:
            chief.wait(local.supervise)
        finally:
            local.stop()
    finally:
        chief.stop()


def _name(source: Any) -> str | None:
    if source is None or isinstance(source, (str, os.PathLike)):
        return None if source is None else str(source)
    return f"<{type(source).__name__}>"


def _own_end(algorithm: str, points: Space) -> int | None:
    """How many trials an algorithm runs that has neither trials nor minutes to end it.

    Raises:
        UserError: a grid that nobody would wait for.
    """
    if algorithm == "grid" and points.grid_points() > _LARGEST_GRID:
        raise UserError(
            f"a grid of {points.grid_points():,} points: fix hyperparameters with --fix, list "
            "values with --space, or give --trials or --minutes"
        )
    return _TRIALS if algorithm in ("random", "bayesian") else None
