"""`index.html`: every figure and picture of a tour on one page, which fetches nothing."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import apps.report
import tuning
from apps import catalogue
from apps.atomic import write_atomically
from apps.report.quantities import capital, duration, excerpt, words
from apps.report.record import section
from docs.tour_serving import ASKED
from docs.tour_steps import Source

_HERE = Path(__file__).parent
_TEMPLATE = "tour.html.j2"
_PIECE = re.compile(r"<h[23][^>]*>(?P<title>.*?)</h[23]>|<figure>(?P<figure>.*?)</figure>", re.S)
_BOARD = re.compile(r'<table id="trials">(.*?)</table>', re.S)
_LINK = re.compile(r"</?a\b[^>]*>")
_SVG = re.compile(r"<svg\b.*?</svg>", re.S)
_NAMED = re.compile(r'(\bid="|\bhref="#|url\(#)')
_MOST_METRICS = 5
_TRAINED, _FOUND = "trained", "best of the search"
_ANSWER = 900


def write_page(
    folder: Path,
    sources: Mapping[str, Source],
    best: Mapping[str, Path],
    done: Mapping[str, Any],
) -> Path:
    """Write the page of a finished tour in one step.

    Args:
        folder: of the tour.
        sources: of each application.
        best: the run of each that was exported.
        done: seconds and command of each step.

    Returns:
        The file.
    """
    loader = jinja2.FileSystemLoader([_HERE, Path(apps.report.__file__).parent], "utf-8")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "capital": capital, "words": words}
    page = environment.get_template(_TEMPLATE).render(
        folder=folder.resolve().name,
        parts=[_part(folder, source, best[name], done) for name, source in sources.items()],
        seconds=sum(one["seconds"] for one in done.values()),
        serve=done["serve"],
    )
    file, content = folder / "index.html", page.encode("utf-8", errors="replace")
    write_atomically(file, lambda stream: stream.write(content))
    return file


def _part(folder: Path, source: Source, best: Path, done: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of one application."""
    name = source.application
    own = folder / name
    found = tuning.load(own / "search").to_dict()
    measured = json.loads((own / "evaluate.out").read_text(encoding="utf-8"))
    searched = section(found, "test")
    steps = [
        {"name": key.removeprefix(f"{name} "), **one}
        for key, one in done.items()
        if key.startswith(f"{name} ")
    ]
    picture = base64.b64encode((own / "inspect.png").read_bytes()).decode()
    asked = json.loads((own / ASKED).read_text(encoding="utf-8"))
    page = (own / "search" / "tuning.html").read_text(encoding="utf-8")
    board = _BOARD.search(page)
    return {
        "name": name,
        "source": source,
        "question": excerpt(source.input, 300),
        "metrics": _table(name, found["objective"], measured, searched),
        "examples": measured["examples"],
        "chosen": _TRAINED if best == own / "run" else _FOUND,
        "report": str((best / "report.html").relative_to(folder)),
        "figures": list(_figures(best / "report.html", name)),
        "board": Markup(_LINK.sub("", board[1])) if board else "",
        "picture": f"data:image/png;base64,{picture}",
        "asked": asked,
        "rest": _shown(asked["rest"]),
        "grpc": _shown(asked["grpc"]),
        "drawn": [Markup(svg) for svg in _SVG.findall(asked["drawn"])],
        "steps": steps,
        "seconds": sum(step["seconds"] for step in steps),
    }


def _table(
    application: str, objective: str, measured: Mapping[str, Any], searched: Mapping[str, Any]
) -> dict[str, Any]:
    """Metrics of both models on the rows that were kept back, and of the baselines."""
    task = catalogue.load(application).task
    names = sorted(measured["interval"], key=lambda name: name != objective)[:_MOST_METRICS]
    metrics = [task.metric(name) for name in names]
    flat = {**section(searched, "metrics"), **searched}
    rows = {_TRAINED: measured, _FOUND: flat}
    rows |= {words(name): figures for name, figures in measured["baselines"].items()}
    span = measured["interval"][names[0]]
    return {
        "titles": [capital(metric.title) for metric in metrics],
        "first": metrics[0],
        "interval": " to ".join(map(metrics[0].written, span)) if span else "",
        "rows": [
            (title, [metric.written(figures.get(metric.name)) for metric in metrics])
            for title, figures in rows.items()
        ],
    }


def _shown(answer: Any) -> str:
    """An answer with four decimals, as far as there is room."""
    text = json.dumps(answer, ensure_ascii=False)
    rounded = json.loads(text, parse_float=lambda number: round(float(number), 4))
    return excerpt(json.dumps(rounded, ensure_ascii=False), _ANSWER)


def _figures(report: Path, application: str) -> Iterator[tuple[str, Markup]]:
    """Heading and markup of each figure of a report, its texts escaped there already."""
    title = ""
    for piece in _PIECE.finditer(report.read_text(encoding="utf-8")):
        if piece["figure"] is None:
            title = html.unescape(re.sub(r"<[^>]*>", "", piece["title"]))
            continue
        # Charts of different reports have the same names inside.
        inside = _NAMED.sub(rf"\g<1>{application}-", piece["figure"])
        yield ("" if "<h3>" in inside else title), Markup(inside)
