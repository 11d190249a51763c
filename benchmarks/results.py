"""Every application's figures once more, in one command that can be interrupted and goes on.

    python -m benchmarks.results [--data FOLDER] [--only NAME,…] [--applications A,…] [--seeds N]
    python -m benchmarks.results --list | --tables

Each training and each evaluation is a process of its own, one after another. What was run by the
same commands is not run again; first comes one seed of everything, then the others.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from apps import environment
from apps.errors import UserError, nearest
from apps.process import INTERRUPTED, Parser
from benchmarks import result_tables
from benchmarks.experiment import Experiment
from benchmarks.experiment_runs import (
    CHECKOUT,
    RESULTS,
    CommandError,
    Runner,
    is_done,
    read_results,
    run,
    run_process,
    write_text,
)
from benchmarks.experiments import EXPERIMENTS
from benchmarks.result_figures import by_origin

Task = tuple[Experiment, int]
_PAGE, _README = CHECKOUT / "docs/results.md", CHECKOUT / "README.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and write the tables.

    Returns:
        0 done, 1 something failed, 2 bad arguments, 130 interrupted; the same command goes on.
    """
    options = _parser().parse_args(arguments)
    # A shell that starts a command in the background makes it ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        chosen = wanted(options.only, options.applications)
        if options.list:
            print(listing(chosen, options.seeds, options.data))
            return 0
        if options.tables:
            write_tables()
            return 0
        with _alone(options.runs):
            failed = run_missing(chosen, options.seeds, options.data, options.runs)
        write_tables()
        return 1 if failed else 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED


def wanted(only: str | None, applications: str | None) -> list[Experiment]:
    """The experiments of these names or of these applications; all by default.

    Raises:
        UserError: there is none of a name.
    """
    for given, known in (
        (only, {one.name for one in EXPERIMENTS}),
        (applications, {one.application for one in EXPERIMENTS}),
    ):
        for name in given.split(",") if given else ():
            if name not in known:
                raise UserError(f"no experiment of '{name}'{nearest(name, known)}")
    names, kinds = (only or "").split(","), (applications or "").split(",")
    return [
        one
        for one in EXPERIMENTS
        if (not only or one.name in names) and (not applications or one.application in kinds)
    ]


def tasks(chosen: Iterable[Experiment], seeds: int | None) -> list[Task]:
    """Experiments with seeds, in the order in which they run: seed 0 of all comes first."""
    found = [(one, seed) for one in chosen for seed in range(seeds or one.seeds)]
    return sorted(found, key=lambda task: task[1])


def absent(experiment: Experiment, data: Path) -> list[str]:
    """The files and folders that are not there."""
    return [str(data / name) for name in experiment.data if not (data / name).exists()]


def run_missing(
    chosen: Sequence[Experiment],
    seeds: int | None,
    data: Path,
    runs: Path,
    *,
    results: Path = RESULTS,
    runner: Runner = run_process,
) -> list[str]:
    """Run what was not run by the same commands.

    Args:
        chosen: the experiments.
        seeds: how many of each; as many as each asks for where it is None.
        data: the data folder; what needs something that is not there is skipped, which is said.
        runs: for run folders and logs.
        results: where results are read and written.
        runner: runs a command.

    Returns:
        What failed, in words.
    """
    for one in chosen:
        for name in absent(one, data)[:1]:
            environment.say(
                f"skipped: {one.name}: {name} is not there; name its folder with --data"
            )
    done = read_results(results)
    left = [task for task in tasks(chosen, seeds) if not absent(task[0], data)]
    left = [task for task in left if not is_done(*task, done)]
    failed = []
    for number, (one, seed) in enumerate(left):
        hours = sum(task[0].minutes for task in left[number:]) / 60
        about = (
            f"{number + 1} of {len(left)}: {one.name}, seed {seed}, about {one.minutes:g} minutes"
        )
        environment.say(f"{about} (all that is left: {hours:.1f} h)")
        began = time.monotonic()
        try:
            found = run(one, seed, data=data, runs=runs, results=results, runner=runner)
        except CommandError as error:
            failed.append(f"{one.name}, seed {seed}: {error}")
            environment.say(f"  failed: {error}; all of it: {runs}/{one.name}-seed{seed}.log")
            continue
        figure = found["measured"][one.evaluations[0].on].get(one.metric)
        minutes = (time.monotonic() - began) / 60
        environment.say(f"  {one.metric} {figure}, {minutes:.1f} minutes")
    environment.say(f"{len(left) - len(failed)} run, {len(failed)} failed")
    return failed


def listing(chosen: Sequence[Experiment], seeds: int | None, data: Path) -> str:
    """What there is, what is missing and how many minutes that takes, a line an experiment."""
    done = read_results()
    lines = [f"{'experiment':22} {'application':14} {'run':8} {'missing':8} {'minutes':>7}"]
    total = 0.0
    for one in chosen:
        numbers = range(seeds or one.seeds)
        there = [str(seed) for seed in numbers if is_done(one, seed, done)]
        missing = [str(seed) for seed in numbers if not is_done(one, seed, done)]
        minutes = len(missing) * one.minutes
        remark = "  no data" if absent(one, data) else ""
        if any(found.transcribed for found in by_origin(one, done)):
            remark += "  transcribed figures"
        total += 0 if absent(one, data) else minutes
        lines.append(
            f"{one.name:22} {one.application:14} {','.join(there) or '-':8} "
            f"{','.join(missing) or '-':8} {minutes:7g}{remark}"
        )
    return "\n".join([*lines, f"missing in all: {total:g} minutes, {total / 60:.1f} h"])


def write_tables() -> None:
    """Write docs/results.md, and the block of README.md where it has one."""
    # Names and directions of metrics stand with the tasks, which import it.
    environment.import_tensorflow_quietly()
    results = read_results()
    readme = _README.read_text(encoding="utf-8")
    texts = {
        _PAGE: result_tables.page(results),
        _README: result_tables.with_block(readme, result_tables.block(results)),
    }
    for file, text in texts.items():
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            write_text(file, text)
            environment.say(f"written: {file.relative_to(CHECKOUT)}")


@contextlib.contextmanager
def _alone(runs: Path) -> Iterator[None]:
    """Keep a second one out of the same run folders."""
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{runs}: another benchmarks.results is at work there") from None
        # A training that outlives a killed runner keeps the lock.
        os.set_inheritable(lock.fileno(), True)
        yield


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m benchmarks.results", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared/data")
    parser.add_argument("--only", metavar="NAME,…", help="experiments; --list names them")
    parser.add_argument("--applications", metavar="A,…")
    parser.add_argument(
        "--seeds", type=_count, metavar="N", help="so many seeds of each, from 0 on"
    )
    parser.add_argument("--runs", type=Path, default=CHECKOUT / "runs/results", metavar="DIR")
    parser.add_argument("--list", action="store_true", help="what there is, missing, and its time")
    parser.add_argument("--tables", action="store_true", help="write the tables only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
