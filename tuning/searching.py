"""A search from beginning to end: trials, finals, the winner's run."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import apps
from apps import catalogue, environment
from apps.data import Examples, read
from apps.errors import UserError, nearest
from apps.training.run import Run
from apps.training.session import fingerprint
from tuning.clock import Clock
from tuning.finals import final_id
from tuning.folder import SOURCES, SearchFolder, new_search_folder, read_json, read_settings
from tuning.found import Found
from tuning.oracles import make_oracle
from tuning.oversight import Oversight
from tuning.record import record_of
from tuning.report import write_page
from tuning.scheduler import LocalScheduler
from tuning.settings import ALGORITHMS, STRATEGIES, SearchSettings, read_budget
from tuning.space import Space
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
    space: Mapping[str, str] | None = None,
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
        trials: how many at most; None for as many as the algorithm or the minutes give.
        minutes: wall-clock time of the whole call, retraining included.
        trial_minutes: wall-clock limit of one trial; no more than a quarter of `minutes`.
        objective: the metric that decides; the application's own unless given.
        budget: upper bounds of `latency_ms`, `parameters` and `size_mb`.
        fix: hyperparameters that are given, not searched.
        space: hyperparameters whose range is given: `low:high`, `low:high:log` or `a,b,c`.
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
        space=dict(space or {}),
        ranges=points.described(),
        seed=seed,
        finalists=finalists,
        seeds=seeds,
        strategy=strategy,
        test=None if test is None else _name(test),
    )
    clock = Clock()
    folder = SearchFolder(run or new_search_folder(application))
    going_on = resume and folder.begun()
    if going_on:
        began = read_settings(folder.path)
        began.require_same(
            dataclasses.replace(asked, fingerprint=began.fingerprint), str(folder.path)
        )
    else:
        folder.require_new()
    asked, in_memory = _read_sources(asked, probe, folder, data, validation, test)
    if going_on:
        began.require_same(asked, str(folder.path))
        folder.lock()
        folder.write_json(folder.settings, asked.to_dict())
    else:
        if resume:
            (log or environment.say)(
                f"{folder.path}: holds nothing to go on from; the search starts from the beginning"
            )
        folder.create(asked, in_memory)
    try:
        oracle = make_oracle(asked, points, folder.path, clock, epochs=probe.config.epochs)
        oracle.finals.workers = max(workers, 1)
        several = workers > 1 or listen is not None
        if folder.state.is_file():
            oracle.reload(keep_ongoing=several)
            if oracle.phase == "done" and folder.result.is_file():
                (log or environment.say)(f"{folder.path}: the search has ended already")
        scheduler = LocalScheduler(oracle, folder.path, asked, points)
        with Oversight(folder, scheduler, clock, log) as oversight:
            if several:
                _run_as_chief(scheduler, folder, workers, listen, memory_mb, oversight)
            else:
                with Executor(memory_mb=memory_mb) as executor:
                    # The leaderboard tells of each trial.
                    work(scheduler, executor, "local-0", lambda line: None)
        return _conclude(folder, scheduler, clock, test, export, log or environment.say)
    finally:
        folder.unlock()


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


def _read_sources(
    asked: SearchSettings, probe: Any, folder: SearchFolder, *sources: Any
) -> tuple[SearchSettings, dict[str, Examples]]:
    """Check what the trials will read, before any of them starts.

    Returns:
        The settings with the sources' places and the rows' fingerprint; and the rows of those
        sources that are in memory, by name.
    """
    searched, places, in_memory = [], {}, {}
    for name, source in zip(SOURCES, sources, strict=True):
        if source is None:
            continue
        rows = read(
            source,
            probe.columns,
            rename=asked.columns,
            sample=probe.sample,
            seed=asked.seed + (name != "data"),
        )
        learnt = probe.check(rows, learning=True) if name == "data" else rows
        if name != "test":
            searched.append(learnt)
        if not isinstance(source, (str, os.PathLike)):
            in_memory[name] = rows
            places[name] = str(folder.rows_of(name))
        elif os.path.exists(source):
            places[name] = os.path.abspath(source)
    about: dict[str, Any] = {**places, "fingerprint": fingerprint(*searched)}
    return dataclasses.replace(asked, **about), in_memory


def _conclude(
    folder: SearchFolder,
    scheduler: LocalScheduler,
    clock: Clock,
    test: Any,
    export: str | os.PathLike[str] | None,
    log: Callable[[str], None],
) -> Found:
    """Finish the winner's run, measure it once, export it, and write down the result."""
    settings, oracle = scheduler.settings, scheduler.oracle
    record = record_of(
        settings,
        oracle.rows,
        oracle.finals.chosen,
        elapsed=clock.elapsed(),
        phase="finals",
    )
    if record.best is None:
        failed = [row for row in record.trials if row.status == "FAILED"]
        raise UserError(
            f"{folder.path}: none of {len(failed)} trials completed; the first failed with: "
            f"{failed[0].reason if failed else 'nothing was tried'}"
        )
    result = read_json(folder.result) if folder.result.is_file() else {}
    winner = _finished(folder, scheduler, record.best, log)
    if test is not None and "test" not in result:
        columns = settings.columns or None
        result["test"] = winner.evaluate(settings.test, columns=columns)
    if export is not None and "exported" not in result:
        result["exported"] = str(winner.export(export, log=log))
    result = {
        **result,
        "best": record.best,
        "finals": [dataclasses.asdict(final) for final in record.finals],
        "run": folder.final.name,
        "elapsed": result.get("elapsed", round(clock.elapsed(), 2)),
    }
    folder.write_json(folder.result, result)
    found = Found(folder.path)
    write_page(found.record, folder.page)
    log(f"report: {folder.page}")
    return found


def _finished(
    folder: SearchFolder,
    scheduler: LocalScheduler,
    best: Mapping[str, Any],
    log: Callable[[str], None],
) -> Run:
    """The winner's run: its retraining with the first seed, with baselines and report."""
    name = final_id(best["id"], 1) if best["seeds"] else best["id"]
    if not folder.final.exists():
        beside = folder.path / f".partial-{folder.final.name}"
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(folder.run(name), beside)
        beside.rename(folder.final)
    job = scheduler.job_of(scheduler.oracle.trials[name])
    values = {**job.settings, "parts": scheduler.oracle.rows[name].parts}
    return apps.train(
        job.application,
        job.data,
        validation=job.validation,
        columns=job.columns,
        minutes=job.minutes,
        seed=job.seed,
        run=folder.final,
        resume=True,
        log=log,
        **values,
    )


def _name(source: Any) -> str:
    return str(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"


_LEAST = {"trials": 1, "finalists": 0, "seeds": 0, "workers": 0, "seed": 0}


def _check_numbers(**numbers: float | None) -> None:
    """Refuse what is not a whole number of at least the least, or not a positive number."""
    for name, value in numbers.items():
        if value is None:
            continue
        if name in _LEAST:
            if int(value) != value or not _LEAST[name] <= value < 2**31 - 1000:
                raise UserError(f"{name}={value}: give a whole number from {_LEAST[name]}")
        elif not 0 < value < 1e9:
            raise UserError(f"{name}={value}: give a positive number")
