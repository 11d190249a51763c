"""The command line: `python -m apps COMMAND …`; `--help` lists the commands."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import apps
from apps import catalogue, environment
from apps.errors import UserError, nearest

INTERRUPTED = 130
_UNUSABLE = {
    errno.ENOSPC: "the disk is full; free some space or name another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or name another folder",
    errno.EROFS: "the file system is read-only; name another folder",
    errno.EACCES: "permission denied; name another place or change its permissions",
    errno.EPERM: "operation not permitted; name another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder; name another place",
}


class _Parser(argparse.ArgumentParser):
    """Argument errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}\n")
        raise SystemExit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 2 the user's input is at fault, 130 interrupted with all on disk to resume from.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command != "list":
            environment.import_tensorflow_quietly()
        options.run_command(options)
        return 0
    except UserError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print(f"interrupted{getattr(options, 'after_interrupt', '')}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        reason = _UNUSABLE.get(error.errno or 0)
        if reason is None and "No space left" in str(error):
            reason = _UNUSABLE[errno.ENOSPC]
        if reason is None:
            raise
        return _refuse(f"{error.filename or 'writing'}: {reason}")


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m apps", description=apps.__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="the applications")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(run_command=_list)

    train = commands.add_parser("train", help="train an application on a data source")
    train.add_argument("application", metavar="APP")
    train.add_argument(
        "--data", default="sample", metavar="SRC", help="file, folder, tfds:NAME or sample"
    )
    train.add_argument(
        "--validation", metavar="SRC", help="a source to choose by; else a part of --data"
    )
    train.add_argument(
        "--columns", metavar="NAME=COLUMN,…", help="names of the columns in the source"
    )
    train.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a hyperparameter",
    )
    train.add_argument("--epochs", metavar="N", help="the same as --set epochs=N")
    train.add_argument("--minutes", type=float, metavar="M", help="budget of the whole command")
    train.add_argument("--seed", type=int, default=0, metavar="S")
    train.add_argument("--run", metavar="DIR", help="the run folder; runs/APP-TIME unless given")
    train.add_argument("--resume", action="store_true", help="go on with the run in --run")
    train.set_defaults(run_command=_train)

    evaluate = commands.add_parser("evaluate", help="measure a run and its baselines on other data")
    evaluate.add_argument("run", metavar="RUN")
    evaluate.add_argument("--data", required=True, metavar="SRC")
    evaluate.add_argument("--columns", metavar="NAME=COLUMN,…")
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    evaluate.set_defaults(run_command=_evaluate)

    predict = commands.add_parser("predict", help="one JSON answer a line")
    predict.add_argument("run", metavar="RUN")
    predict.add_argument("inputs", nargs="*", metavar="INPUT")
    predict.add_argument("--file", metavar="F", help="a file with inputs")
    predict.add_argument("--columns", metavar="NAME=COLUMN,…")
    predict.set_defaults(run_command=_predict)

    report = commands.add_parser("report", help="write report.html again")
    report.add_argument("run", metavar="RUN")
    report.set_defaults(run_command=_report)

    export = commands.add_parser("export", help="write a SavedModel version")
    export.add_argument("run", metavar="RUN")
    export.add_argument(
        "--to", default="saved_models", metavar="DIR", help="saved_models by default"
    )
    export.set_defaults(run_command=_export)

    doctor = commands.add_parser(
        "doctor", help="which kernel each recurrent layer runs on, and why"
    )
    doctor.add_argument("target", metavar="APP|RUN|SAVED_MODEL")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.set_defaults(run_command=_doctor)
    return parser


def _list(options: argparse.Namespace) -> None:
    if options.json:
        found = [
            {"name": n, "answers": entry.answers} for n, entry in catalogue.APPLICATIONS.items()
        ]
        print(json.dumps({"applications": found}))
        return
    for name, entry in catalogue.APPLICATIONS.items():
        print(f"{name:14} {entry.answers}")


def _train(options: argparse.Namespace) -> None:
    from apps.training.run_folder import new_run_folder

    settings = dict(_setting(text) for text in options.settings)
    if options.epochs is not None:
        settings["epochs"] = options.epochs
    kind = catalogue.load(options.application)
    kind.Config.from_values(settings)
    if options.resume and not options.run:
        raise UserError("--resume: name the run folder with --run DIR")
    run = options.run or new_run_folder(options.application)
    options.after_interrupt = f"; go on with the same command and --run {run} --resume"
    apps.train(
        options.application,
        options.data,
        validation=options.validation,
        columns=_renamed(options, options.application),
        minutes=options.minutes,
        seed=options.seed,
        run=run,
        resume=options.resume,
        **settings,
    )
    print(run)


def _evaluate(options: argparse.Namespace) -> None:
    run = apps.load(options.run)
    measured = run.evaluate(options.data, columns=_renamed(options, run.application.name))
    if options.json:
        print(json.dumps(measured, allow_nan=False))
        return
    names = list(measured["interval"])
    print(f"{measured['examples']} examples, {measured['skipped']} skipped (empty)")
    print(f"{'':16}" + "".join(f"{name:>20}" for name in names))
    print(f"{'model':16}" + "".join(f"{measured[name]:>20.4f}" for name in names))
    spans = [f"{low:.4f} to {high:.4f}" for low, high in measured["interval"].values()]
    print(f"{'  95 % interval':16}" + "".join(f"{span:>20}" for span in spans))
    for baseline, metrics in measured["baselines"].items():
        print(f"{baseline:16}" + "".join(f"{metrics[name]:>20.4f}" for name in names))


def _predict(options: argparse.Namespace) -> None:
    if not options.inputs and not options.file:
        raise UserError("predict: give inputs as arguments, or a file with --file F")
    run = apps.load(options.run)
    answers = run.predict(options.inputs)
    if options.file:
        answers += run.predict(options.file, columns=_renamed(options, run.application.name))
    for answer in answers:
        print(json.dumps(answer, ensure_ascii=False))


def _report(options: argparse.Namespace) -> None:
    print(apps.load(options.run).report())


def _export(options: argparse.Namespace) -> None:
    print(apps.load(options.run).export(options.to))


def _doctor(options: argparse.Namespace) -> None:
    from apps.layers.doctor import diagnose_file, diagnose_model, render

    if options.target in catalogue.APPLICATIONS:
        diagnoses = diagnose_model(catalogue.load(options.target).untrained().model)
    elif not Path(options.target).exists():
        raise UserError(
            f"{options.target}: neither a path nor an application"
            f"{nearest(options.target, catalogue.APPLICATIONS)}"
        )
    elif Path(options.target, "config.json").is_file():
        diagnoses = diagnose_model(apps.load(options.target).model)
    else:
        diagnoses = diagnose_file(options.target)
    if options.json:
        print(json.dumps({"layers": [diagnosis.to_dict() for diagnosis in diagnoses]}))
    else:
        print(render(diagnoses))


def _renamed(options: argparse.Namespace, application: str) -> dict[str, str] | None:
    """`--columns` by the application's names; None where it was not given."""
    if options.columns is None:
        return None
    from apps.data import parse_rename

    return parse_rename(options.columns, catalogue.load(application).columns)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: write KEY=VALUE")
    return key.strip(), value.strip()


if __name__ == "__main__":
    sys.exit(main())
