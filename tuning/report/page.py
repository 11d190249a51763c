"""`tuning.html`: one page on what a search found, how sure that is, and what it cost."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import apps.report.templates
from apps.atomic import write_atomically
from apps.report import quantities
from apps.report.quantities import capital, decimal, duration, finite, words
from apps.report.record import section
from tuning.arguments import to_options, typed
from tuning.record import DEFAULT, SearchRecord, TrialRow
from tuning.report import charts
from tuning.report.columns import range_of, short
from tuning.report.importance import importances, obstacle
from tuning.report.objective import Objective
from tuning.report.parallel import parallel_coordinates
from tuning.report.table import milliseconds, table
from tuning.report.verdict import headline, judge, spent, test_metrics

_HERE = Path(__file__).parent
_SHOWN_TRIALS = 10


def write_page(record: SearchRecord, path: Path) -> Path:
    """Write the page of a search in one step.

    Args:
        record: a search at any stage.
        path: the file, in the search's folder.

    Returns:
        The file, which a browser opens from disk and which fetches nothing.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    # A text from JSON may hold half a surrogate pair, which UTF-8 cannot encode.
    content = _page(record, path.parent).encode("utf-8", errors="replace")
    write_atomically(path, lambda stream: stream.write(content))
    return path


def _page(record: SearchRecord, folder: Path) -> str:
    objective = Objective.of(record.settings)
    headings, lines = table(record)
    drawing = parallel_coordinates(record)
    drawn = {line.trial for line in drawing.lines} if drawing else set()
    trade_off = charts.trade_off(record)
    explained = importances(record.trials, record.settings.maximise, record.settings.seed)
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    seeds = max((len(one.scores) for one in record.finals), default=0)
    return (
        _environment()
        .get_template("tuning.html.j2")
        .render(
            script=Markup(script),
            digest=f"sha256-{digest}",
            folder=folder.resolve().name,
            headline=headline(record),
            objective=objective.title,
            verdict=judge(record),
            spent=spent(record),
            figures=_figures(record, objective),
            headings=headings,
            rows=[
                {
                    "trial": line.trial,
                    "cells": line.cells,
                    "best": line.best,
                    "drawn": line.trial in drawn,
                }
                for line in lines
            ],
            hyperband=any(row.round is not None for row in record.trials),
            finals=charts.finals(record.finals, objective) if record.finals else None,
            failed_finals=record.failed_finals,
            seeds="one seed" if seeds == 1 else f"{seeds} fresh seeds each",
            test=_test(record),
            test_source=record.settings.test or "the test source",
            test_overlap=record.settings.test_overlap,
            baselines=list(section(record.test or {}, "baselines")),
            progress=charts.progress(record),
            parallel=_parallel(drawing),
            importance=charts.importance(explained) if explained else None,
            obstacle=obstacle(record.trials),
            trade_off=trade_off[0] if trade_off else None,
            front=[_front_row(row, objective) for row in trade_off[1]] if trade_off else [],
            failures=_failures(record),
            usage=_usage(record, folder),
            command=_command(record, folder),
            settings=_settings(record),
            space=[(words(n), range_of(n, record.settings)) for n in record.settings.ranges],
        )
    )


def _parallel(drawing: Any) -> Markup | None:
    if drawing is None:
        return None
    return Markup(_environment().get_template("parallel.html.j2").render(drawing=drawing))


@cache
def _environment() -> jinja2.Environment:
    """Templates of this folder, and the style sheet of the report of a run."""
    of_runs = Path(apps.report.templates.__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_HERE, of_runs], encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "words": words,
        "capital": capital,
        "excerpt": quantities.excerpt,
    }
    return environment


def _figures(record: SearchRecord, objective: Objective) -> list[tuple[str, str]]:
    """The figures beside the headline: name and value."""
    if record.best is None:
        return []
    rows = {row.id: row for row in record.trials}
    best = rows.get(str(record.best.get("id")))
    chosen = [(capital(objective.title), objective.written(record.best.get("score")))]
    if finite(record.best.get("spread")) and (record.best.get("seeds") or 0) > 1:
        chosen.append(("Spread over seeds", objective.width(record.best["spread"])))
    default = next((one.mean for one in record.finals if one.trial == DEFAULT), None)
    if default is None and DEFAULT in rows:
        default = rows[DEFAULT].score
    chosen.append(("Default", objective.written(default)))
    if best is not None and finite(best.cost.get("latency_ms")):
        chosen.append(("Latency", milliseconds(best.cost["latency_ms"])))
    if best is not None and finite(best.cost.get("parameters")):
        chosen.append(("Parameters", decimal(best.cost["parameters"])))
    chosen.append(("Search", duration(record.elapsed)))
    return chosen


def _test(record: SearchRecord) -> list[list[str]]:
    """A row for each metric on the test source: title, winner, interval, baselines."""
    spans, rivals = section(record.test or {}, "interval"), section(record.test or {}, "baselines")
    rows = []
    for name, value in test_metrics(record).items():
        kind, span = record.settings.metric(name), spans.get(name)
        if name in ("examples", "skipped"):
            continue
        interval = ""
        if isinstance(span, (list, tuple)) and len(span) == 2:
            interval = f"{kind.written(span[0])} to {kind.written(span[1])}"
        others = [kind.written(section(rivals, rival).get(name)) for rival in rivals]
        rows.append([capital(kind.title), kind.written(value), interval, *others])
    return rows


def _front_row(row: TrialRow, objective: Objective) -> dict[str, str]:
    return {
        "id": row.id,
        "score": objective.written(row.score),
        "latency": milliseconds(row.cost.get("latency_ms")),
        "parameters": decimal(row.cost.get("parameters")),
        "values": ", ".join(f"{words(name)} {short(value)}" for name, value in row.values.items()),
    }


def _failures(record: SearchRecord) -> list[dict[str, Any]]:
    """Reasons, most frequent first; reasons that differ only in numbers count as one."""
    groups: dict[str, list[TrialRow]] = defaultdict(list)
    for row in record.trials:
        if row.status == "FAILED":
            groups[re.sub(r"\d[\d.,]*", "0", row.reason)].append(row)
    return [
        {
            "count": len(rows),
            "reason": rows[0].reason or "no reason was given",
            "trials": ", ".join(row.id for row in rows[:_SHOWN_TRIALS])
            + ("…" if len(rows) > _SHOWN_TRIALS else ""),
        }
        for rows in sorted(groups.values(), key=len, reverse=True)
    ]


def _usage(record: SearchRecord, folder: Path) -> list[tuple[str, str]]:
    """What to do with the winner: a sentence and a command each."""
    if record.best is None:
        return []
    settings, values = record.settings, section(record.best, "values")
    given = [f"--set={name}={typed(value)}" for name, value in values.items()]
    given.append(f"--set=objective={settings.objective}")
    for option in ("validation", "since", "until", "labels"):
        if (value := getattr(settings, option)) is not None:
            given += [f"--{option}", value]
    if settings.columns:
        given += ["--columns", ",".join(f"{name}={of}" for name, of in settings.columns.items())]
    train = ["python", "-m", "apps", "train", settings.application, "--data", settings.data, *given]
    lines = [("To train the same configuration again, on this or other data:", shlex.join(train))]
    if record.phase == "done" and record.finals:
        final = os.fspath(folder / "final")
        predict = ["python", "-m", "apps", "predict", final, "--file", "FILE"]
        export = ["python", "-m", "apps", "export", final]
        lines = [
            ("It is trained, in a run folder like any other:", shlex.join(predict)),
            ("To serve it:", shlex.join(export)),
            *lines,
        ]
    return lines


def _command(record: SearchRecord, folder: Path) -> str:
    """The command that makes this search."""
    asked = ["python", "-m", "tuning", record.settings.application, *to_options(record.settings)]
    return shlex.join([*asked, "--run", os.fspath(folder)])


def _settings(record: SearchRecord) -> list[tuple[str, str]]:
    asked = record.settings
    way = "higher" if asked.maximise else "lower"
    rows = {
        "Application": asked.application,
        "Data": asked.data,
        "Validation": asked.validation or "split off the data",
        "Algorithm": asked.algorithm,
        "Objective": f"{words(asked.objective)}, {way} is better",
        "Trials": "as many as there is time for" if asked.trials is None else f"{asked.trials}",
        "Time": duration(60 * asked.minutes) if asked.minutes is not None else "no limit",
        "Time of one trial": f"{duration(60 * asked.trial_minutes)} at most",
        "Budget": ", ".join(f"{words(k)} ≤ {v:g}" for k, v in asked.budget.items()),
        "Given": ", ".join(f"{words(k)} {short(v)}" for k, v in asked.fix.items()),
        "Seed": str(asked.seed),
        "Data fingerprint": asked.fingerprint,
    }
    return [(name, text) for name, text in rows.items() if text]
