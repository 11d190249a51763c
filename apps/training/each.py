"""A model for each series: runs of their own in one folder, made one after the other."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from apps import strict_json
from apps.atomic import write_atomically
from apps.data import Examples
from apps.errors import UserError
from apps.training.plan import Plan
from apps.training.run_folder import EACH as FILE
from apps.training.run_folder import RunFolder

_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


def parts_of(plan: Plan) -> dict[str, tuple[Examples, Examples | None]]:
    """Rows to learn from, and to validate on where a source for that is named, by series.

    Raises:
        UserError: rows cannot be used, or the validation source lacks a series.
    """
    application = plan.kind(plan.config, plan.seed)
    training = application.input.each(application.check(plan.read(), learning=True))
    if plan.validation is None:
        return {name: (rows, None) for name, rows in training.items()}
    held_out = application.input.each(application.check(plan.read_validation(), learning=True))
    if lacking := [name for name in training if name not in held_out]:
        raise UserError(f"the validation data have no series '{lacking[0]}', which is learnt from")
    return {name: (rows, held_out[name]) for name, rows in training.items()}


def train_each(
    plan: Plan,
    train: Callable[..., Path],
    *,
    run: str | os.PathLike[str],
    resume: bool,
    minutes: float | None,
    say: Callable[[str], None],
) -> Path:
    """Train a run for each series, `RUN/NAME`; each is as good as one that was trained alone.

    Args:
        plan: what is asked for.
        train: trains one, with the arguments of `apps.training.train.train`.
        run: the folder of them all.
        resume: go on where an interrupted call has stopped.
        minutes: budget of them all.
        say: takes progress lines.

    Raises:
        UserError: settings, data or folder are at fault.
    """
    started, folder = time.monotonic(), Path(run)
    if folder.exists() and any(folder.iterdir()) and not (resume and (folder / FILE).is_file()):
        raise UserError(
            f"{folder}: exists and is not an empty folder; name another one with --run, or go on "
            "with runs of its own with --resume"
        )
    parts = parts_of(plan)
    runs = _folders(list(parts))
    about = {**plan.describe(), "runs": runs}
    content = strict_json.dumps(about).encode()
    if resume and folder.exists() and _read(folder) != json.loads(content):
        raise UserError(f"{folder}: was started with other settings or series; resume with those")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE, lambda stream: stream.write(content))
    for number, (name, (rows, held_out)) in enumerate(parts.items()):
        say(f"series {number + 1} of {len(parts)}: {name}")
        left = None
        if minutes is not None:
            spent = (time.monotonic() - started) / 60
            # What is over by now is as good as a budget that ends after the first step.
            left = max((minutes - spent) / (len(parts) - number), 0.01)
        child = folder / runs[name]
        train(
            plan.application,
            rows,
            validation=held_out,
            columns=plan.columns,
            minutes=left,
            seed=plan.seed,
            run=child,
            resume=resume and not RunFolder(child).unbegun(),
            log=say,
            **plan.for_one(),
        )
    return folder


def runs_in(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The runs of a folder that `train_each` has written, by series.

    Raises:
        UserError: the file is damaged.
    """
    about = _read(Path(folder))
    runs = about.get("runs")
    if not isinstance(runs, Mapping) or not runs:
        raise UserError(f"{folder}/{FILE}: does not name its runs; train again")
    return {name: Path(folder) / str(child) for name, child in runs.items()}


def _read(folder: Path) -> dict[str, Any]:
    return RunFolder(folder).read_json(folder / FILE)


def _folders(names: list[str]) -> dict[str, str]:
    """Names of series as names of folders, no two alike."""
    found: dict[str, str] = {}
    for name in names:
        plain = _PLAIN.sub("_", name).strip("._") or "series"
        taken = {one.casefold() for one in found.values()}
        wanted, number = plain, 1
        while wanted.casefold() in taken or wanted == FILE:
            number += 1
            wanted = f"{plain}-{number}"
        found[name] = wanted
    return found
