"""The steps of the tour: which command each is, how long it may take, and which are done."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tuning
from apps import strict_json
from apps.atomic import write_atomically

SOURCES = {"sentiment": "texts", "keywords": "recordings", "forecasting": "series"}
STATE = "tour.json"
SERVE = "serve"
# What each step of an application does, and the seconds that it takes on 2 cores; the minutes that
# are left are shared between training and search.
STEPS = {
    "train": ("train", 0),
    "evaluate": ("measure on rows that it has not learnt from, beside its baselines", 15),
    "tune": ("search other settings", 0),
    "export": ("export the better of the two", 20),
    "inspect": ("look into one answer", 10),
}
_SERVE_S, _TRAINING, _LEAST, _OVERTIME_S = 40, 0.6, 0.4, 5
# Recordings take longest to be learnt, series are soon learnt.
_WEIGHTS = {"sentiment": 1.1, "keywords": 1.5, "forecasting": 0.4}
_TRIALS = 3


@dataclass(frozen=True)
class Source:
    """What one application is trained on, measured on and asked.

    Attributes:
        application: its name.
        given: what the user named; `sample` for the built-in one.
        data: what `train` and the search read.
        held: what is measured on; no row of it is learnt from.
        columns: as `--columns` takes them, empty where they need not be named.
        until: of series, the time that learning ends before and measuring begins at; else empty.
        input: a text or a file, for `inspect` and the served model.
        truth: the label of that input; empty where it has none.
    """

    application: str
    given: str
    data: str
    held: str
    columns: str
    until: str
    input: str
    truth: str


class Tour:
    """What is walked through, and how far it has come; kept in `tour.json`.

    Args:
        folder: of the tour.
        state: `sources`, `minutes`, `ports`, and `done`: seconds and command of each step.
    """

    def __init__(self, folder: Path, state: dict[str, Any]) -> None:
        self.folder, self.state = folder, state
        self.sources = {one["application"]: Source(**one) for one in state["sources"]}

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Application and step, in their order; the server has all applications."""
        return [(name, step) for name in self.sources for step in STEPS] + [("", SERVE)]

    def seconds(self, application: str, step: str) -> float:
        """How long a step is expected to take."""
        if step == SERVE:
            return _SERVE_S
        if step not in ("train", "tune"):
            return STEPS[step][1]
        rest = sum(seconds for _, seconds in STEPS.values()) + 2 * _OVERTIME_S
        whole = 60 * self.state["minutes"]
        spare = max(whole - _SERVE_S - len(self.sources) * rest, _LEAST * whole)
        weight = _WEIGHTS[application] / sum(_WEIGHTS[name] for name in self.sources)
        share = _TRAINING if step == "train" else 1 - _TRAINING
        return _OVERTIME_S + share * spare * weight

    def words(self, application: str, step: str) -> list[str]:
        """The command of a step, after the name of Python."""
        if step == SERVE:
            grpc, rest = map(str, self.state["ports"])
            models = str(self.folder / "models")
            return ["-m", "apps", "serve", models, "--port", grpc, "--rest-port", rest]
        source, folder = self.sources[application], self.folder / application
        run, search = str(folder / "run"), str(folder / "search")
        until = source.until
        data = ["--data", source.data, *(["--columns", source.columns] if source.columns else [])]
        data += ["--until", until] if until else []
        minutes = ["--minutes", f"{(self.seconds(application, step) - _OVERTIME_S) / 60:.2f}"]
        if step == "train":
            return ["-m", "apps", "train", application, *data, *minutes, "--run", run]
        if step == "evaluate":
            since = ["--since", until] if until else []
            return ["-m", "apps", "evaluate", run, "--data", source.held, *since, "--json"]
        if step == "tune":
            test = ["--test", source.held, *(["--test-since", until] if until else [])]
            few = ["--algorithm", "random", "--trials", str(_TRIALS), "--finalists", "0"]
            return ["-m", "tuning", application, *data, *test, *few, *minutes, "--run", search]
        best = better(folder)
        if step == "export":
            return ["-m", "apps", "export", str(best), "--to", str(self.folder / "models")]
        dashed = ["--", source.input] if source.input.startswith("-") else [source.input]
        picture = str(folder / "inspect.png")
        return ["-m", "apps", "inspect", str(best), "--out", picture, *dashed]

    def version(self, application: str) -> Path:
        """The newest version that was exported."""
        folder = self.folder / "models" / application
        return max((p for p in folder.iterdir() if p.name.isdecimal()), key=lambda p: int(p.name))

    def keep(self) -> None:
        """Write the state."""
        text = strict_json.dumps(self.state, indent=1).encode()
        write_atomically(self.folder / STATE, lambda stream: stream.write(text))


def better(folder: Path) -> Path:
    """The run with the better validation figure: the one that was trained, or the search's best."""
    found = tuning.load(folder / "search")
    runs = [folder / "run", folder / "search" / "final"]
    name = found["objective"]
    figures = [json.loads((run / "metrics.json").read_text())["metrics"][name] for run in runs]
    wins = figures[1] > figures[0] if found["maximise"] else figures[1] < figures[0]
    return runs[1] if wins else runs[0]
