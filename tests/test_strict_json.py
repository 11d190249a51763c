"""What the commands print and write as JSON is JSON to every reader."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pytest

import apps
from apps import strict_json
from apps.__main__ import main
from apps.training.run_folder import RunFolder

UNDEFINED = {"f1": math.nan, "interval": (0.1, math.inf), "rows": [{"score": np.float64("-inf")}]}
DEFINED = {"f1": None, "interval": [0.1, None], "rows": [{"score": None}]}


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} in JSON")


def read(text: str):
    return json.loads(text, parse_constant=refuse)


def test_undefined_figures_are_null() -> None:
    assert read(strict_json.dumps(UNDEFINED)) == DEFINED
    assert strict_json.dumps({"a": "é", "b": 1.5, "c": True}) == '{"a": "é", "b": 1.5, "c": true}'


def test_files_of_a_run(tmp_path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json(tmp_path / "one.json", UNDEFINED)
    folder.write_rows(tmp_path / "rows.jsonl", [UNDEFINED, UNDEFINED])
    assert read((tmp_path / "one.json").read_text()) == DEFINED
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [read(line) for line in lines] == [DEFINED, DEFINED]


class Undefined:
    """A run whose figures and answers are undefined."""

    class application:  # noqa: N801
        name, passed_over = "sentiment", "empty"

    def evaluate(self, data, columns, **limits):
        figures = {"accuracy": math.nan}
        counts = {"examples": 0, "skipped": 0, "seconds": 0.0}
        return {**figures, **counts, "interval": {"accuracy": None}, "baselines": {"one": figures}}

    def predict(self, inputs, columns=None, **limits):
        return [UNDEFINED]


@pytest.mark.parametrize(
    "words", [["evaluate", "RUN", "--data", "d", "--json"], ["predict", "RUN", "text"]]
)
def test_commands(words, monkeypatch, capsys) -> None:
    monkeypatch.setattr(apps, "load", lambda run: Undefined())
    assert main(words) == 0
    assert "null" in json.dumps(read(capsys.readouterr().out))


def test_evaluate_as_text(monkeypatch, capsys) -> None:
    monkeypatch.setattr(apps, "load", lambda run: Undefined())
    assert main(["evaluate", "RUN", "--data", "d"]) == 0
    assert "nan" not in capsys.readouterr().out


def test_decisions_of_a_stream() -> None:
    from apps.streams.printing import new_printer

    class Follower:
        running = False

        def finish(self):
            return [type("Decision", (), {"text": "", "fields": UNDEFINED})()]

    out = io.StringIO()
    follower: Any = Follower()
    new_printer(follower, out, io.StringIO(), as_json=True, live=False).finish()
    assert read(out.getvalue()) == DEFINED
