"""The command line: `python -m tuning APP …`, `show DIR`, `worker …`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import tuning
from apps import environment
from apps.commands.process import Parser, run_command
from apps.errors import UserError
from tuning.settings import ALGORITHMS, STRATEGIES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 2 the user's input is at fault, 130 interrupted with all on disk to resume from.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"show": _show_parser, "worker": _worker_parser}
    if words and words[0] in commands:
        options = commands[words[0]]().parse_args(words[1:])
    else:
        options = _search_parser().parse_args(words)
    return run_command(options)


def _search_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tuning",
        description="Search the hyperparameters of an application.",
        epilog="python -m tuning show DIR [--json]: what a search has found. python -m tuning "
        "worker --chief HOST:PORT --id K: run trials of a search on another machine.",
    )
    parser.add_argument("application", metavar="APP")
    parser.add_argument(
        "--data", default="sample", metavar="SRC", help="file, folder, tfds:NAME or sample"
    )
    parser.add_argument(
        "--validation", metavar="SRC", help="a source to score on; else a part of --data"
    )
    parser.add_argument("--test", metavar="SRC", help="measure the winner on this, once")
    parser.add_argument(
        "--columns", metavar="NAME=COLUMN,…", help="names of the columns in the source"
    )
    parser.add_argument("--algorithm", default="hyperband", metavar="|".join(ALGORITHMS))
    parser.add_argument("--trials", type=int, metavar="N", help="at most so many trials")
    parser.add_argument("--minutes", type=float, metavar="M", help="budget of the whole command")
    parser.add_argument(
        "--trial-minutes", type=float, default=60.0, metavar="M", help="limit of one trial"
    )
    parser.add_argument("--objective", metavar="METRIC", help="the metric that decides")
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="NAME=BOUND,…",
        help="upper bounds of latency_ms, parameters, size_mb",
    )
    parser.add_argument(
        "--fix", action="append", default=[], metavar="KEY=VALUE", help="do not search this one"
    )
    parser.add_argument(
        "--space",
        action="append",
        default=[],
        metavar="KEY=LOW:HIGH[:log]",
        help="search this one in this range; also KEY=a,b,c",
    )
    parser.add_argument("--epochs", metavar="N", help="the same as --fix epochs=N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument(
        "--finalists", type=int, default=3, metavar="N", help="how many of the best are retrained"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="how many times each of them"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="trials side by side")
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="let workers of other machines join here"
    )
    parser.add_argument("--memory", type=float, metavar="MB", help="resident memory of a trial")
    parser.add_argument(
        "--strategy", metavar="|".join(STRATEGIES), help="trials on several devices"
    )
    parser.add_argument(
        "--export",
        nargs="?",
        const="saved_models",
        metavar="DIR",
        help="write the winner as a SavedModel, to saved_models unless named",
    )
    parser.add_argument(
        "--run", metavar="DIR", help="the folder of the search; searches/APP-TIME unless given"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the search in --run")
    parser.set_defaults(run_command=_search, needs_tensorflow=True)
    return parser


def _show_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m tuning show", description="What a search has found so far.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run_command=_show, needs_tensorflow=False)
    return parser


def _worker_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tuning worker", description="Run trials of a search on this machine."
    )
    parser.add_argument("--chief", required=True, metavar="HOST:PORT")
    parser.add_argument("--id", required=True, metavar="K", help="the same after a restart")
    parser.add_argument("--data", metavar="SRC", help="the data, where they lie elsewhere here")
    parser.add_argument("--run", metavar="DIR", help="the folder of the search, likewise")
    parser.add_argument("--threads", type=int, metavar="N", help="of a trial")
    parser.add_argument("--memory", type=float, metavar="MB", help="resident memory of a trial")
    parser.add_argument(
        "--patience", type=float, default=600.0, metavar="SECONDS", help="to wait for the chief"
    )
    parser.set_defaults(run_command=_work, needs_tensorflow=False)
    return parser


def _search(options: argparse.Namespace) -> None:
    from apps import catalogue
    from apps.data import parse_rename
    from tuning.folder import new_search_folder

    kind = catalogue.load(options.application)
    fix = _pairs(options.fix, "--fix")
    if options.epochs is not None:
        if "epochs" in fix:
            raise UserError("--epochs and --fix epochs: leave one of them out")
        fix["epochs"] = options.epochs
    columns = None if options.columns is None else parse_rename(options.columns, kind.columns)
    if options.resume and not options.run:
        raise UserError("--resume: name the folder of the search with --run DIR")
    run = options.run or new_search_folder(options.application)
    options.after_interrupt = f"; go on with the same command and --run {run} --resume"
    found = tuning.search(
        options.application,
        options.data,
        validation=options.validation,
        columns=columns,
        algorithm=options.algorithm,
        trials=options.trials,
        minutes=options.minutes,
        trial_minutes=options.trial_minutes,
        objective=options.objective,
        budget=_pairs([part for text in options.budget for part in text.split(",")], "--budget"),
        fix=fix,
        space=_pairs(options.space, "--space"),
        seed=options.seed,
        finalists=options.finalists,
        seeds=options.seeds,
        test=options.test,
        export=options.export,
        workers=options.workers,
        listen=options.listen,
        memory_mb=options.memory,
        strategy=options.strategy,
        run=run,
        resume=options.resume,
    )
    from tuning.report import render_leaderboard

    print(render_leaderboard(found.record), file=sys.stderr)
    print(run)


def _show(options: argparse.Namespace) -> None:
    found = tuning.load(options.folder)
    if options.json:
        print(json.dumps(found.to_dict(), allow_nan=False))
        return
    from tuning.report import render_leaderboard

    print(render_leaderboard(found.record))


def _work(options: argparse.Namespace) -> None:
    from tuning.distributed import run_worker

    run_worker(
        options.chief,
        options.id,
        data=options.data,
        folder=options.run,
        threads=options.threads,
        memory_mb=options.memory,
        patience_seconds=options.patience,
        log=environment.say,
    )


def _pairs(texts: Sequence[str], option: str) -> dict[str, Any]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UserError(f"{option} {text}: write KEY=VALUE")
        if key.strip() in pairs:
            raise UserError(f"{option} {key.strip()}: given twice; leave one of them out")
        pairs[key.strip()] = value.strip()
    return pairs


if __name__ == "__main__":
    sys.exit(main())
