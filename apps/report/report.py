"""`report.html`: one page on a run's results, its baselines, its cost and how it was made."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from apps.atomic import write_atomically
from apps.errors import UserError
from apps.report import charts
from apps.report.quantities import (
    Metric,
    capital,
    decimal,
    duration,
    finite,
    words,
)
from apps.report.record import Record, numbers, read_record, section
from apps.report.sections import Section
from apps.report.templates import render
from apps.report.verdict import Verdict, baseline_metrics, interval, judge

FILE_NAME = "report.html"
_STOPPED = {
    "epochs": "Training ended after the given number of epochs.",
    "minutes": "Training ended when its minutes were used up.",
    "patience": "Training ended early: the validation metric had stopped improving.",
}
_UNUSED = {
    "epochs": "its learning rate had fallen to nothing by then, as the epochs had it",
    "patience": "more passes over the training rows would have been learnt by heart",
}


def write_report(
    folder: Path,
    sections: Sequence[Section],
    *,
    metrics: Iterable[Metric] = (),
    purpose: str = "",
) -> Path:
    """Write `report.html` into a run folder in one step; the same folder gives the same bytes.

    Args:
        folder: a run folder, of a run that is finished, in progress or interrupted.
        sections: the application's own parts, in the order of the page.
        metrics: the task's declarations of its metrics.
        purpose: one sentence on what the application answers.

    Returns:
        The file: one page that a browser opens from disk and that fetches nothing.

    Raises:
        UserError: the folder does not exist or cannot be written to.
    """
    record = read_record(folder, metrics)
    verdict = judge(record)
    page = render(
        "report.html.j2",
        record=record,
        run=folder.resolve().name,
        title=capital(words(record.application)) or "Run",
        purpose=purpose,
        verdict=verdict,
        key_figures=_key_figures(record),
        comparison=_comparison(record, verdict),
        metrics=_metrics_table(record),
        rivals=list(_rivals(record)),
        curves=_curves(record),
        history=_history_table(record),
        stopped=_stopped(record),
        cost=_cost(record),
        configuration=_pairs(section(record.settings, "config")),
        data=_data(record),
        environment=_pairs({k: v for k, v in record.environment.items() if k != "command"}),
        command=_command(record.environment.get("command")),
        sections=[(s.title, Markup(s.html)) for s in sections],
    )
    file = folder / FILE_NAME
    # A text read from JSON may hold half a surrogate pair, which UTF-8 cannot encode.
    content = page.encode("utf-8", errors="replace")
    try:
        write_atomically(file, lambda stream: stream.write(content))
    except OSError as error:
        raise UserError(
            f"{file}: cannot be written ({error.strerror}); free space or allow writing there"
        ) from None
    return file


def _stopped(record: Record) -> str:
    """Why training ended, and with how many minutes left."""
    why, left = str(record.results.get("stopped")), record.results.get("minutes_left")
    said = _STOPPED.get(why, "")
    if said and why != "minutes" and isinstance(left, float) and left > 0:
        said += f" {left:g} of its minutes were left: {_UNUSED[why]}."
    return said


def _key_figures(record: Record) -> list[tuple[str, str]]:
    """The figures beside the headline: name and value."""
    values = section(record.results, "metrics")
    chosen = [
        (capital(record.metric(k).title), record.metric(k).written(v)) for k, v in values.items()
    ][:4]
    if record.best_epoch is not None:
        chosen.append(("Best epoch", f"{record.best_epoch:g} of {len(record.epochs)}"))
    if finite(record.results.get("seconds")):
        chosen.append(("Training time", duration(record.results["seconds"])))
    return chosen


def _comparison(record: Record, verdict: Verdict) -> Markup | None:
    """Chart of the verdict's metric, model and baselines; None where there is no baseline."""
    if not verdict.baseline:
        return None
    kind = record.metric(verdict.key)
    value = section(record.results, "metrics")[verdict.key]
    competitors = [
        charts.Competitor("this model", value, interval(record, verdict.key), model=True)
    ] + [
        charts.Competitor(name, figures[verdict.key])
        for name, figures in _rivals(record).items()
        if finite(figures.get(verdict.key))
    ]
    competitors.sort(key=lambda c: c.value, reverse=kind.better == "higher")
    return charts.comparison(kind, competitors)


def _rivals(record: Record) -> dict[str, Mapping[str, float]]:
    """What the model is compared with: its outputs decoded in other ways, and the baselines."""
    decoders = section(record.results, "decoders")
    found = {f"{words(name)} decoding": numbers(section(decoders, name)) for name in decoders}
    return {**found, **{words(name): v for name, v in baseline_metrics(record).items()}}


def _metrics_table(record: Record) -> list[dict[str, Any]]:
    """A row for each metric: title, direction, interval, values of model and baselines."""
    rivals = _rivals(record)
    rows = []
    for key, value in section(record.results, "metrics").items():
        kind, span = record.metric(key), interval(record, key)
        values = [value, *(figures.get(key, math.nan) for figures in rivals.values())]
        usable = [v for v in values if finite(v)]
        best = None
        if len(usable) > 1 and kind.better != "neither":
            best = max(usable) if kind.better == "higher" else min(usable)
        rows.append(
            {
                "title": capital(kind.title),
                "better": kind.better,
                "interval": f"{kind.written(span[0])} to {kind.written(span[1])}" if span else "",
                "cells": [(kind.written(v), finite(v) and v == best) for v in values],
            }
        )
    return rows


def _curves(record: Record) -> list[tuple[str, Markup]]:
    """Title and chart of the losses, of each validation metric, and of the learning rate."""
    history, epochs = record.history, record.epochs
    groups: list[tuple[str, list[charts.Curve]]] = []
    measured = ["loss", *(n[4:] for n in history if n.startswith("val_") and n != "val_loss")]
    for name in measured:
        pair = [
            charts.Curve(label, history[column], validation=validation)
            for column, label, validation in (
                (name, "training", False),
                (f"val_{name}", "validation", True),
            )
            if _drawable(history.get(column))
        ]
        groups.append((name, pair))
    if _drawable(history.get("learning_rate")):
        rate = charts.Curve("learning rate", history["learning_rate"], validation=False)
        groups.append(("learning_rate", [rate]))
    return [
        (
            capital(record.metric(name).title),
            charts.learning_curve(
                record.metric(name).title,
                epochs,
                group,
                record.best_epoch,
                record.metric(name).rate,
            ),
        )
        for name, group in groups
        if group
    ]


def _drawable(values: Sequence[float] | None) -> bool:
    return values is not None and any(map(finite, values))


def _history_table(record: Record) -> dict[str, Any]:
    names = list(record.history)
    rows = zip(*record.history.values(), strict=True)
    return {
        "names": [words(name) for name in names],
        "rows": [
            [
                f"{value:.0f}" if name in ("epoch", "step") and finite(value) else decimal(value)
                for name, value in zip(names, row, strict=True)
            ]
            for row in rows
        ],
        "best": [epoch == record.best_epoch for epoch in record.epochs],
    }


def _cost(record: Record) -> list[tuple[str, str]]:
    """What the model costs in memory, time and training: name and value with unit."""
    cost = section(record.results, "cost")
    known = {
        "parameters": ("Parameters", ""),
        "ms_per_example": ("Time per example", "\u202fms"),
        "peak_memory_mb": ("Peak memory", "\u202fMB"),
        "size_mb": ("Size of the model", "\u202fMB"),
    }
    rows = [
        (known.get(key, (capital(words(key)), ""))[0], decimal(value) + known.get(key, ("", ""))[1])
        for key, value in cost.items()
        if finite(value)
    ]
    if finite(record.results.get("seconds")):
        rows.append(("Training time", duration(record.results["seconds"])))
    return rows


def _data(record: Record) -> list[tuple[str, str]]:
    sources, counts = section(record.settings, "data"), section(record.results, "examples")
    rows = []
    for part in ("train", "validation"):
        if part in sources or part in counts:
            source = sources.get(part)
            where = "split off the training data" if source is None else _text(source)
            many = f", {decimal(counts[part])} examples" if finite(counts.get(part)) else ""
            rows.append(("Training" if part == "train" else "Validation", where + many))
    if finite(counts.get("skipped")):
        rows.append(("Skipped", f"{decimal(counts['skipped'])} unusable examples"))
    if "seed" in record.settings:
        rows.append(("Seed", _text(record.settings["seed"])))
    if "fingerprint" in record.settings:
        rows.append(("Fingerprint", _text(record.settings["fingerprint"])))
    return rows


def _pairs(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(key), _text(value)) for key, value in table.items()]


def _text(value: Any) -> str:
    """A JSON value as a person would write it."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _command(value: Any) -> str:
    """The command as one line for a shell; empty where it is not known."""
    if isinstance(value, list):
        return shlex.join(map(str, value))
    return str(value or "")
