"""A search from beginning to end: trials, finals, the winner's run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

from apps import catalogue, environment
from apps.errors import UserError, nearest
from tuning.clock import Clock
from tuning.conclusion import conclude, measure_and_export
from tuning.folder import SearchFolder, new_search_folder, read_json, read_settings
from tuning.found import Found
from tuning.oracles import make_oracle
from tuning.oversight import Oversight
from tuning.scheduler import LocalScheduler
from tuning.settings import ALGORITHMS, STRATEGIES, SearchSettings, read_budget
from tuning.sources import read_sources
from tuning.space import Space, written
from tuning.trials.executor import Executor
from tuning.trials.worker import work


def search(
    application: str,
    data: Any = "sample",
    *,
    validation: Any = None,
    columns: Mapping[str, str] | None = None,
    algorithm: str = "hyperband",
    trials: int | None = None,
    minutes: float | None = None,
    trial_minutes: float = 60.0,
    objective: str | None = None,
    budget: Mapping[str, Any] | None = None,
    fix: Mapping[str, Any] | None = None,
    space: Mapping[str, Any] | None = None,
    seed: int = 0,
    finalists: int = 3,
    seeds: int = 3,
    test: Any = None,
    export: str | os.PathLike[str] | None = None,
    workers: int = 1,
    listen: str | None = None,
    memory_mb: float | None = None,
    strategy: str | None = None,
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    log: Callable[[str], None] | None = None,
) -> Found:
    """Search the hyperparameters of an application.

    The default configuration is the first trial. The best trials are retrained with fresh seeds,
    and the best mean wins; its run is finished with baselines and a report, measured once on the
    test source, and exported where that is asked for.

    Args:
        application: a name of the catalogue.
        data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
        validation: a source to score on; a part of `data` is held out where it is None.
        columns: the application's column names to the source's, where they differ.
        algorithm: `hyperband`, `bayesian`, `random` or `grid`.
        trials: how many at most; None for as many as the minutes allow, and without minutes for
            30, one run of Hyperband, or the whole grid.
        minutes: wall-clock time of the whole call, retraining included.
        trial_minutes: wall-clock limit of one trial; no more than a quarter of `minutes`.
        objective: the metric that decides; the application's own unless given.
        budget: upper bounds of `latency_ms`, `parameters` and `size_mb`.
        fix: hyperparameters that are given, not searched.
        space: hyperparameters whose range is given: `low:high`, `low:high:log`, or `a,b,c` or a
            list of values.
        seed: of the proposals and the trials; the retrainings take the numbers after it.
        finalists, seeds: how many of the best are retrained, and how many times each; with 0 the
            best single score wins.
        test: a source to measure the winner on, once.
        export: a folder of SavedModels to write the winner to.
        workers: processes on this machine that run trials side by side.
        listen: `HOST:PORT` on which workers of other machines may join.
        memory_mb: of resident memory that a trial may take; 90 % of what is free unless given.
        strategy: `mirrored` or `multiworker`, for trials on several devices.
        run: the folder of the search; named after application and time unless given.
        resume: go on with the search in `run`.
        log: takes progress lines; the leaderboard on standard error unless given.

    Returns:
        What was found; the same as `tuning.load` of the folder gives.

    Raises:
        UserError: an argument, the data or the folder is at fault, or no trial completed.
        KeyboardInterrupt: with everything on disk that `resume` needs.
    """
    kind = catalogue.load(application)
    if resume and run is None:
        raise UserError("--resume: name the folder of the search with --run DIR")
    _check_numbers(
        trials=trials,
        minutes=minutes,
        trial_minutes=trial_minutes,
        memory_mb=memory_mb,
        seed=seed,
        finalists=finalists,
        seeds=seeds,
        workers=workers,
    )
    for word, known in ((algorithm, ALGORITHMS), (strategy, STRATEGIES)):
        if word is not None and word not in known:
            raise UserError(f"{word}: unknown{nearest(word, known)}")
    if not workers and listen is None:
        raise UserError("workers=0: nobody would run a trial; give --listen HOST:PORT too")
    if strategy == "multiworker" and (listen is None or workers):
        raise UserError(
            "strategy multiworker: give --workers 0 --listen HOST:PORT, and start a worker with "
            "one --id and a TF_CONFIG on each machine of the cluster"
        )
    points = Space(kind.Config, fix, space)
    if trials is None and minutes is None:
        trials = _own_end(algorithm, points)
    chosen = kind.checked_objective(objective or kind.objective)
    probe = kind(kind.Config.from_values({**points.fixed, "objective": chosen}), seed)
    asked = SearchSettings(
        application,
        _name(data),
        chosen,
        probe.maximise,
        validation=None if validation is None else _name(validation),
        columns=dict(columns or {}),
        algorithm=algorithm,
        trials=trials,
        minutes=minutes,
        trial_minutes=trial_minutes,
        budget=read_budget(budget or {}),
        fixed={key: list(v) if isinstance(v, tuple) else v for key, v in points.fixed.items()},
        space={key: written(value) for key, value in (space or {}).items()},
        ranges=points.described(),
        seed=seed,
        finalists=finalists,
        seeds=seeds,
        strategy=strategy,
        test=None if test is None else _name(test),
    )
    clock = Clock()
    say = log or environment.say
    folder = SearchFolder(run or new_search_folder(application))
    going_on = resume and folder.begun()
    if going_on:
        began = read_settings(folder.path)
        began.require_same(
            dataclasses.replace(asked, fingerprint=began.fingerprint), str(folder.path)
        )
    else:
        folder.require_new()
        if resume:
            say(f"{folder.path}: holds nothing to go on from; the search starts from the beginning")
    asked, in_memory = read_sources(asked, probe, folder, data, validation, test)
    try:
        if going_on:
            began.require_same(asked, str(folder.path))
            folder.lock()
        else:
            folder.create(asked, in_memory)
        if folder.result.is_file():
            say(f"{folder.path}: the search has ended already; for more trials, search anew")
            asked = _as_it_ended(folder, began, asked)
        else:
            folder.write_json(folder.settings, asked.to_dict())
            _run(folder, asked, points, clock, probe.config.epochs, workers, listen, memory_mb, log)
        return measure_and_export(folder, asked, export, say)
    finally:
        folder.unlock()


def _as_it_ended(
    folder: SearchFolder, began: SearchSettings, asked: SearchSettings
) -> SearchSettings:
    """The settings of an ended search, with the test source that is asked for now if it had none.

    Raises:
        UserError: the winner was measured on another test source.
    """
    measured = read_json(folder.result).get("test")
    if measured is None:
        now = dataclasses.replace(began, test=asked.test, test_overlap=asked.test_overlap)
        folder.write_json(folder.settings, now.to_dict())
        return now
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
    workers: int,
    listen: str | None,
    memory_mb: float | None,
    log: Callable[[str], None] | None,
) -> None:
    """Search from where the folder stands to the winner's finished run."""
    oracle = make_oracle(settings, points, folder.path, clock, epochs=epochs)
    oracle.finals.workers = max(workers, 1)
    several = workers > 1 or listen is not None
    if folder.state.is_file():
        oracle.reload(keep_ongoing=several)
    scheduler = LocalScheduler(oracle, folder.path, settings, points)
    with Oversight(folder, scheduler, clock, log) as oversight:
        if several:
            _run_as_chief(scheduler, folder, workers, listen, memory_mb, oversight)
        else:
            with Executor(memory_mb=memory_mb) as executor:
                # The leaderboard tells of each trial.
                work(scheduler, executor, "local-0", lambda line: None)
    conclude(folder, scheduler, clock.elapsed(), log or environment.say)


def _run_as_chief(
    scheduler: LocalScheduler,
    folder: SearchFolder,
    workers: int,
    listen: str | None,
    memory_mb: float | None,
    oversight: Oversight,
) -> None:
    """Serve the search to workers, those of this machine included, until it is over."""
    from tuning.distributed import Chief, LocalWorkers

    chief = Chief(scheduler, listen or "127.0.0.1:0", log=oversight.say)
    chief.start()
    try:
        if listen is not None:
            oversight.say(
                f"workers may join: python -m tuning worker --chief {chief.public_address} --id K"
            )
        if not workers:
            chief.wait()
            return
        local = LocalWorkers(
            workers, chief.address, folder.path, memory_mb=memory_mb, log=oversight.say
        )
        try:
            chief.wait(local.supervise)
        finally:
            local.stop()
    finally:
        chief.stop()


def _name(source: Any) -> str:
    return str(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"


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


_TRIALS, _LARGEST_GRID = 30, 10_000
_LEAST = {"trials": 1, "finalists": 0, "seeds": 0, "workers": 0, "seed": 0}


def _check_numbers(**numbers: float | None) -> None:
    """Refuse what is not a whole number of at least the least, or not a positive number."""
    for name, value in numbers.items():
        if value is None:
            continue
        if name in _LEAST:
            if value != value or int(value) != value or not _LEAST[name] <= value < 2**31 - 1000:
                raise UserError(f"{name}={value}: give a whole number from {_LEAST[name]}")
        elif not 0 < value < 1e9:
            raise UserError(f"{name}={value}: give a positive number")
