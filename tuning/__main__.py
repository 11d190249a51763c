"""The command line: `python -m tuning APP …`, `show DIR`, `worker …`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import tuning
from apps import environment, strict_json
from apps.errors import UserError
from apps.process import Parser, run_command
from tuning.arguments import add_arguments, from_options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 2 the user's input is at fault, 130 interrupted with all on disk to resume from.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"show": show_parser, "worker": worker_parser}
    if words and words[0] in commands:
        options = commands[words[0]]().parse_args(words[1:])
    else:
        options = search_parser().parse_args(words)
    return run_command(options)


def search_parser() -> argparse.ArgumentParser:
    """The options of a search."""
    parser = Parser(
        prog="python -m tuning",
        description="Search the hyperparameters of an application.",
        epilog="python -m tuning show DIR [--json]: what a search has found. python -m tuning "
        "worker --chief HOST:PORT --id K: run trials of a search on another machine.",
    )
    parser.add_argument("application", metavar="APP")
    add_arguments(parser)
    parser.add_argument("--epochs", metavar="N", help="the same as --fix epochs=N")
    parser.set_defaults(run_command=_search, needs_tensorflow=True)
    return parser


def show_parser() -> argparse.ArgumentParser:
    """The options of `show`."""
    parser = Parser(prog="python -m tuning show", description="What a search has found so far.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run_command=_show, needs_tensorflow=False)
    return parser


def worker_parser() -> argparse.ArgumentParser:
    """The options of `worker`."""
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
    from tuning.folder import new_search_folder

    given = from_options(options)
    if options.epochs is not None:
        given["fix"] = given["fix"] or {}
        if "epochs" in given["fix"]:
            raise UserError("--epochs and --fix epochs: leave one of them out")
        given["fix"]["epochs"] = options.epochs
    if not options.resume:
        given["run"] = options.run or new_search_folder(options.application)
    options.after_interrupt = f"; go on with the same command and --run {given['run']} --resume"
    found = tuning.search(options.application, **given)
    from tuning.report import render_leaderboard

    print(render_leaderboard(found.record), file=sys.stderr)
    print(given["run"])


def _show(options: argparse.Namespace) -> None:
    found = tuning.load(options.folder)
    if options.json:
        print(strict_json.dumps(found.to_dict()))
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


if __name__ == "__main__":
    sys.exit(main())
