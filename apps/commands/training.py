"""Commands that train, evaluate, predict and examine."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import apps
from apps import catalogue, strict_json
from apps.errors import UserError, nearest

_LABELS = "of sensors: windows that are anomalies, as JSON or CSV"


def add_to(commands: Any) -> None:
    """Add the commands to the parser's subparsers."""
    listing = commands.add_parser("list", help="the applications")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(run_command=_list, needs_tensorflow=False)

    train = commands.add_parser("train", help="train an application on a data source")
    train.add_argument("application", metavar="APP")
    train.add_argument(
        "--data", default="sample", metavar="SRC", help="file, folder, tfds:NAME or sample"
    )
    train.add_argument(
        "--validation", metavar="SRC", help="a source to validate on; a part of --data by default"
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
    train.add_argument("--run", metavar="DIR", help="the run folder; runs/APP-TIME by default")
    train.add_argument("--resume", action="store_true", help="go on with the run in --run")
    train.add_argument(
        "--strategy",
        action=_Strategy,
        metavar="STRATEGY",
        help="mirrored: all devices of this machine; multiworker: all processes of TF_CONFIG",
    )
    add_limits(train)
    train.add_argument("--labels", metavar="FILE", help=_LABELS)
    train.set_defaults(run_command=_train)

    walk = commands.add_parser(
        "backtest", help="train on series and measure on what follows, again and again"
    )
    walk.add_argument("application", metavar="APP")
    walk.add_argument("--data", default="sample", metavar="SRC")
    walk.add_argument("--folds", type=int, default=5, metavar="N", help="stretches; 5 by default")
    walk.add_argument("--columns", metavar="NAME=COLUMN,…")
    walk.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    walk.add_argument("--minutes", type=float, metavar="M", help="budget of all trainings")
    walk.add_argument("--seed", type=int, default=0, metavar="S")
    walk.add_argument("--run", metavar="DIR", help="the folder of the runs")
    walk.add_argument("--resume", action="store_true", help="go on with the folder in --run")
    walk.add_argument("--json", action="store_true", help="print one JSON object")
    add_limits(walk)
    walk.add_argument("--labels", metavar="FILE", help=_LABELS)
    walk.set_defaults(run_command=_backtest)

    evaluate = commands.add_parser("evaluate", help="measure a run and its baselines on other data")
    evaluate.add_argument("run", metavar="RUN")
    evaluate.add_argument("--data", required=True, metavar="SRC")
    evaluate.add_argument("--columns", metavar="NAME=COLUMN,…")
    add_limits(evaluate)
    evaluate.add_argument("--labels", metavar="FILE", help=_LABELS)
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    evaluate.set_defaults(run_command=_evaluate)

    predict = commands.add_parser("predict", help="one JSON answer a line")
    predict.add_argument("run", metavar="RUN|SAVED_MODEL")
    predict.add_argument("inputs", nargs="*", metavar="INPUT")
    predict.add_argument("--file", metavar="F", help="a file with inputs")
    predict.add_argument("--columns", metavar="NAME=COLUMN,…")
    add_limits(predict)
    predict.set_defaults(run_command=_predict)

    report = commands.add_parser("report", help="write report.html again")
    report.add_argument("run", metavar="RUN")
    report.set_defaults(run_command=_report)

    doctor = commands.add_parser(
        "doctor", help="which kernel each recurrent layer runs on, and why"
    )
    doctor.add_argument("target", metavar="APP|RUN|SAVED_MODEL")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.set_defaults(run_command=_doctor)


def add_limits(command: argparse.ArgumentParser) -> None:
    """Add the options that say which rows of series count."""
    command.add_argument(
        "--since", metavar="T", help="of series: the first time that counts, or #ROWS before it"
    )
    command.add_argument("--until", metavar="T", help="of series: the first time that does not")


class _Strategy(argparse.Action):
    """Store the name; `multiworker` must be set up before TensorFlow opens the devices."""

    def __call__(self, parser: Any, options: Any, value: Any, option: Any = None) -> None:
        options.strategy = value
        options.needs_tensorflow = value != "multiworker"


def _list(options: argparse.Namespace) -> None:
    if options.json:
        found = [
            {"name": n, "answers": entry.answers} for n, entry in catalogue.APPLICATIONS.items()
        ]
        print(strict_json.dumps({"applications": found}))
        return
    for name, entry in catalogue.APPLICATIONS.items():
        print(f"{name:14} {entry.answers}")


def _train(options: argparse.Namespace) -> None:
    from apps.training.run_folder import new_run_folder

    settings = dict(setting(text) for text in options.settings)
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
        columns=renamed(options, options.application),
        minutes=options.minutes,
        seed=options.seed,
        run=run,
        resume=options.resume,
        strategy=options.strategy,
        since=options.since,
        until=options.until,
        labels=options.labels,
        **settings,
    )
    print(run)


def _evaluate(options: argparse.Namespace) -> None:
    run = apps.load(options.run)
    measured = run.evaluate(
        options.data,
        columns=renamed(options, run.application.name),
        since=options.since,
        until=options.until,
        labels=options.labels,
    )
    if options.json:
        print(strict_json.dumps(measured))
        return
    names = list(measured["interval"])
    skipped = f"{measured['skipped']} skipped ({run.application.passed_over})"
    print(f"{measured['examples']} examples, {skipped}")
    others = {**measured.get("decoders", {}), **measured["baselines"]}
    width = max(map(len, ["  95 % interval", *others])) + 1
    wide = max(20, *(len(name) + 2 for name in names))
    print(" " * width + "".join(f"{name:>{wide}}" for name in names))
    print(f"{'model':{width}}" + "".join(f"{_figure(measured[name]):>{wide}}" for name in names))
    spans = [
        "–" if span is None else " to ".join(map(_figure, span))
        for span in measured["interval"].values()
    ]
    print(f"{'  95 % interval':{width}}" + "".join(f"{span:>{wide}}" for span in spans))
    for other, metrics in others.items():
        print(f"{other:{width}}" + "".join(f"{_figure(metrics[name]):>{wide}}" for name in names))
    for test in measured.get("tests", {}).values():
        print(test["sentence"])


def _backtest(options: argparse.Namespace) -> None:
    from apps.training.backtest import backtest

    settings: dict[str, Any] = dict(setting(text) for text in options.settings)
    found = backtest(
        options.application,
        options.data,
        folds=options.folds,
        since=options.since,
        until=options.until,
        labels=options.labels,
        columns=renamed(options, options.application),
        minutes=options.minutes,
        seed=options.seed,
        run=options.run,
        resume=options.resume,
        **settings,
    )
    if options.json:
        print(strict_json.dumps(found))
        return
    names = list(found["mean"])
    rows = {f"{fold['since']} to {fold['until']}": fold for fold in found["folds"]}
    rows |= {"mean": found["mean"], "  deviation": found["deviation"], **found["baselines"]}
    width = max(map(len, rows)) + 1
    print(" " * width + "".join(f"{name:>12}" for name in names))
    for title, metrics in rows.items():
        print(f"{title:{width}}" + "".join(f"{_figure(metrics[name]):>12}" for name in names))


def _figure(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4f}"


def _predict(options: argparse.Namespace) -> None:
    if not options.inputs and not options.file:
        raise UserError("predict: give inputs as arguments, or a file with --file F")
    from apps.export.versions import is_saved_model
    from apps.serving.local import LocalModel

    if is_saved_model(options.run):
        model: Any = LocalModel(options.run)
        name = model.application() if options.columns else ""
    else:
        model = apps.load(options.run)
        name = model.application.name
    limits = {"since": options.since, "until": options.until}
    answers = model.predict(options.inputs, **limits)
    if options.file:
        answers += model.predict(options.file, columns=renamed(options, name), **limits)
    for answer in answers:
        print(strict_json.dumps(answer))


def _report(options: argparse.Namespace) -> None:
    print(apps.load(options.run).report())


def _doctor(options: argparse.Namespace) -> None:
    from apps.layers.doctor import diagnose_file, diagnose_model, render
    from apps.training.run_folder import EACH

    if options.target in catalogue.APPLICATIONS:
        diagnoses = diagnose_model(catalogue.load(options.target).untrained().model)
    elif not Path(options.target).exists():
        raise UserError(
            f"{options.target}: neither a path nor an application"
            f"{nearest(options.target, catalogue.APPLICATIONS)}"
        )
    elif any(Path(options.target, name).is_file() for name in ("config.json", EACH)):
        diagnoses = diagnose_model(apps.load(options.target).model)
    else:
        diagnoses = diagnose_file(options.target)
    if options.json:
        print(strict_json.dumps({"layers": [diagnosis.to_dict() for diagnosis in diagnoses]}))
    else:
        print(render(diagnoses))


def renamed(options: argparse.Namespace, application: str) -> dict[str, str] | None:
    """`--columns` by the application's names; None where it was not given."""
    if options.columns is None:
        return None
    from apps.data import parse_rename

    return parse_rename(options.columns, catalogue.load(application).columns())


def setting(text: str) -> tuple[str, str]:
    """A name and a value as `--set` takes them."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: write KEY=VALUE")
    return key.strip(), value.strip()
