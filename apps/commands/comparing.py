"""The command that compares LSTMs with what may stand in their place."""

from __future__ import annotations

import argparse
from typing import Any

from apps import catalogue, strict_json
from apps.commands.training import add_limits, renamed, setting
from apps.errors import UserError


def add_to(commands: Any) -> None:
    """Add the command to the parser's subparsers."""
    compare = commands.add_parser(
        "compare", help="LSTM, GRU, minLSTM, state space, Transformer and baselines on your data"
    )
    compare.add_argument("application", metavar="APP")
    compare.add_argument("--data", default="sample", metavar="SRC")
    compare.add_argument(
        "--test", metavar="SRC", help="a source to measure on; a fifth of --data by default"
    )
    compare.add_argument(
        "--stacks", metavar="NAME,…", help="lstm,gru,minlstm,ssm,transformer by default; mlstm, rnn"
    )
    compare.add_argument("--seeds", type=int, default=3, metavar="N", help="3 by default")
    compare.add_argument(
        "--minutes", type=float, metavar="M", help="of all trainings; 2 for each by default"
    )
    compare.add_argument("--columns", metavar="NAME=COLUMN,…")
    compare.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    compare.add_argument("--seed", type=int, default=0, metavar="S", help="the first seed")
    compare.add_argument("--run", metavar="DIR", help="the folder of the runs and the page")
    compare.add_argument("--resume", action="store_true", help="go on with the folder in --run")
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    add_limits(compare)
    compare.add_argument("--labels", metavar="FILE", help="of sensors, windows that are anomalies")
    compare.set_defaults(run_command=_compare)


def _compare(options: argparse.Namespace) -> None:
    from apps.comparison.comparing import PAGE, USUAL, compare
    from apps.training.run_folder import new_run_folder

    settings: dict[str, Any] = dict(setting(text) for text in options.settings)
    if options.resume and not options.run:
        raise UserError("--resume: name the folder with --run DIR")
    catalogue.load(options.application).Config.from_values(settings)
    folder = options.run or f"{new_run_folder(options.application)}-comparison"
    options.after_interrupt = f"; go on with the same command and --run {folder} --resume"
    stacks = USUAL if options.stacks is None else options.stacks.split(",")
    found = compare(
        options.application,
        options.data,
        test=options.test,
        stacks=[name.strip() for name in stacks],
        seeds=options.seeds,
        minutes=options.minutes,
        columns=renamed(options, options.application),
        since=options.since,
        until=options.until,
        labels=options.labels,
        seed=options.seed,
        run=folder,
        resume=options.resume,
        **settings,
    )
    if options.json:
        print(strict_json.dumps(found))
        return
    name = found["metric"]
    print(f"{'stack':12} {name:>24} {'parameters':>12} {'ms':>8} {'MB':>8} {'CPU s':>8}")
    for one in found["stacks"]:
        if "failed" in one:
            print(f"{one['stack']:12} failed: {one['failed']}")
            continue
        values = one["values"]
        spread = f"{sum(values) / len(values):.4f} ({min(values):.4f}–{max(values):.4f})"
        print(
            f"{one['stack']:12} {spread:>24} {one['parameters']:12,} {one['ms_per_example']:8.2f} "
            f"{one['peak_memory_mb']:8.0f} {one['cpu_seconds']:8.0f}"
        )
    for other, value in found["baselines"].items():
        print(f"{other:12} {value:24.4f}")
    print(f"{found['recommendation']['sentence']} {found['recommendation']['reason']}")
    print(f"{folder}/{PAGE}")
