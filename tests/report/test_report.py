"""The page of a run: what it is made of, and that it is one file, whatever is missing."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from outline import Outline

from apps.errors import UserError
from apps.report import report
from apps.report.quantities import Metric
from apps.report.record import read_predictions, read_record
from apps.report.report import write_report
from apps.report.sections import Section, confusion
from apps.report.verdict import Verdict, judge

REFERENCES = {"src", "href", "xlink:href", "action", "poster", "data", "srcset", "formaction"}

Page = Callable[..., tuple[Outline, dict[str, Any]]]


@pytest.fixture
def page(given: Callable[[Any], dict[str, Any]], metrics: Sequence[Metric]) -> Page:
    """Writes the report of a folder; gives the page, and what its template was filled with."""
    seen = given(report)

    def write(
        folder: Path, sections: Sequence[Section] = (), **arguments: Any
    ) -> tuple[Outline, dict[str, Any]]:
        file = write_report(folder, sections, metrics=metrics, **arguments)
        return Outline(file.read_text(encoding="utf-8")), seen["report.html.j2"]

    return write


@pytest.fixture
def verdict(run_folder: Path, metrics: Sequence[Metric]) -> Callable[..., Verdict]:
    """What is judged of the run once its results are changed."""

    def judged(**results: Any) -> Verdict:
        change(run_folder / "metrics.json", **results)
        return judge(read_record(run_folder, metrics))

    return judged


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}), encoding="utf-8")


def plain(value: Any) -> Any:
    """Values as a person reads them: thin spaces as spaces, tuples as lists."""
    return json.loads(json.dumps(value).replace("\\u202f", " "))


def test_a_finished_run(page: Page, run_folder: Path) -> None:
    outline, given = page(run_folder, [Section("Own & part", "<p>inside</p>")], purpose="Which.")
    assert (given["title"], given["purpose"], given["run"]) == (
        "Sentiment",
        "Which.",
        run_folder.name,
    )
    assert plain(given["key_figures"]) == [
        ["Accuracy", "91.3 %"],
        ["F1", "91.3 %"],
        ["Cross-entropy", "0.240 nats"],
        ["Calibration error", "3.1 %"],
        ["Best epoch", "3 of 4"],
        ["Training time", "12.6 min"],
    ]
    assert given["rivals"] == ["majority", "bag of words"]
    assert plain(given["metrics"][2]) == {
        "title": "Cross-entropy",
        "better": "lower",
        "interval": "0.200 nats to 0.280 nats",
        "cells": [["0.240 nats", True], ["0.692 nats", False], ["0.350 nats", False]],
    }
    assert plain(given["metrics"][3])["cells"] == [["3.1 %", False], ["–", False], ["–", False]]
    assert plain(given["cost"]) == [
        ["Parameters", "1,234,567"],
        ["Time per example", "0.420 ms"],
        ["Peak memory", "812.0 MB"],
        ["Size of the model", "4.900 MB"],
        ["Training time", "12.6 min"],
    ]
    assert ("tokens", "none") in given["configuration"]
    assert ("tensorflow", "2.21.0") in given["environment"]
    data = dict(given["data"])
    assert [data[name].split(", ")[-1] for name in ("Training", "Validation")] == [
        "4,500 examples",
        "500 examples",
    ]
    assert data["Training"].startswith("reviews.csv")
    assert data["Skipped"].startswith("3 ")
    assert data["Seed"] == "7"
    assert given["command"] == "python -m apps train sentiment --data 'my reviews.csv'"
    assert [title for title, _ in given["curves"]] == ["Loss", "Accuracy", "Learning rate"]
    assert given["history"]["best"] == [False, False, True, False]
    assert given["stopped"] == report._STOPPED["patience"]
    # All of it is on the page.
    texts = [outline.find("h1")[0].text, *(one.text for one in outline.find(class_="figures"))]
    for name, value in plain(given["key_figures"] + given["cost"]):
        assert any(f"{name} {value}" in text for text in texts)
    ids = {"metrics", "learning", "section-1", "cost", "configuration", "environment"}
    assert ids <= set(outline.values({"id"}))
    assert outline.find(id="section-1")[0].text == "Own & part"
    assert "inside" in [one.text for one in outline.find("p")]
    assert outline.find("pre")[0].text == given["command"]
    assert [one.text for one in outline.find(class_="purpose")] == ["Which."]
    assert not outline.find("aside")
    # The comparison, and a curve each.
    assert len(outline.find("svg")) == 1 + len(given["curves"])


def test_nothing_is_referred_to_outside_the_file(page: Page, run_folder: Path) -> None:
    labels = [f"label {i}" for i in range(30)]
    outline, _ = page(run_folder, [confusion(labels, labels, labels[::-1])])
    references = outline.values(REFERENCES)
    assert references
    assert all(reference.startswith(("#", "data:")) for reference in references)
    identifiers = outline.values({"id"})
    assert len(identifiers) == len(set(identifiers))
    assert {r[1:] for r in references if r.startswith("#")} <= set(identifiers)
    source = (run_folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(
        r"https?:|@import|//[a-z]|<script|<iframe|<object|<link rel=.style", source
    )
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", source))


def test_pictures_and_tables_can_be_heard(page: Page, run_folder: Path) -> None:
    outline, _ = page(run_folder)
    pictures = [one.attributes for one in outline.find("svg")]
    assert all(p["role"] == "img" and len(p["aria-label"]) > 20 for p in pictures)
    assert all("scope" in one.attributes for one in outline.find("th"))
    assert outline.find("html", lang="en")


@pytest.mark.parametrize(
    ("accuracy", "interval", "outcome", "difference"),
    [
        (0.913, [0.888, 0.936], "better", "5.2 points above"),
        (0.87, [0.85, 0.89], "undecided", "0.9 points above"),
        (0.85, [0.83, 0.87], "undecided", "1.1 points below"),
        (0.8, [0.78, 0.82], "worse", "6.1 points below"),
        (0.861, [0.84, 0.88], "undecided", "the same"),
        (0.9, None, "unknown", "3.9 points above"),
    ],
)
def test_the_verdict_is_as_the_figures_are(
    page: Page,
    verdict: Callable[..., Verdict],
    run_folder: Path,
    accuracy: float,
    interval: list[float] | None,
    outcome: str,
    difference: str,
) -> None:
    judged = verdict(
        metrics={"accuracy": accuracy}, interval={"accuracy": interval} if interval else {}
    )
    assert (judged.outcome, judged.key, judged.baseline) == (outcome, "accuracy", "bag_of_words")
    assert difference in plain(judged.title)
    outline, given = page(run_folder)
    assert given["verdict"] == judged
    (badge,) = outline.find(class_="badge")
    assert outcome in badge.attributes["class"].split()
    assert plain(judged.title) in outline.find("h1")[0].text
    assert plain(judged.sentence) in outline.find(class_="verdict")[0].text


def test_lower_is_better_where_it_is(verdict: Callable[..., Verdict]) -> None:
    judged = verdict(
        metrics={"perplexity": 31.25},
        interval={"perplexity": [30.0, 32.5]},
        baselines={"unigram": {"perplexity": 900.0}, "n_gram": {"perplexity": 44.0}},
    )
    assert (judged.outcome, judged.key, judged.baseline) == ("better", "perplexity", "n_gram")
    assert "12.750 below" in judged.title


def test_a_figure_that_no_baseline_has_gives_way_to_one_that_they_have(
    verdict: Callable[..., Verdict],
) -> None:
    figures = {"cross_entropy": 0.5, "calibration_error": None, "accuracy": 0.8}
    rivals = {"majority": {"cross_entropy": None, "accuracy": 0.5}, "random": {"accuracy": 0.4}}
    judged = verdict(metrics=figures, interval={"accuracy": [0.7, 0.9]}, baselines=rivals)
    assert (judged.outcome, judged.key, judged.baseline) == ("better", "accuracy", "majority")
    without = {name: {"cross_entropy": None, "accuracy": None} for name in rivals}
    judged = verdict(metrics=figures, interval={}, baselines=without)
    assert (judged.outcome, judged.key) == ("unknown", "cross_entropy")
    assert "No baseline has such a figure." in judged.sentence


def test_a_metric_that_no_task_declares_decides_nothing(
    page: Page, verdict: Callable[..., Verdict], run_folder: Path
) -> None:
    judged = verdict(metrics={"novelty": 0.5, "f1": 0.9})
    assert judged.key == "f1"
    _, given = page(run_folder)
    assert [row["better"] for row in given["metrics"]] == ["neither", "higher"]
    assert not any(best for _, best in given["metrics"][0]["cells"])


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"baselines": {}}, "accuracy"),
        ({"metrics": {"accuracy": float("nan")}}, "accuracy"),
        ({"metrics": {"accuracy": None}}, "accuracy"),
        ({"metrics": {}}, ""),
        ({"metrics": None, "cost": [], "best": {}, "baselines": 3}, ""),
    ],
)
def test_results_with_holes(
    page: Page,
    verdict: Callable[..., Verdict],
    run_folder: Path,
    changed: dict[str, Any],
    key: str,
) -> None:
    judged = verdict(**changed)
    assert (judged.outcome, judged.key, judged.baseline) == ("unknown", key, "")
    outline, given = page(run_folder)
    assert given["comparison"] is None
    assert "unknown" in outline.find(class_="badge")[0].attributes["class"].split()
    assert bool(outline.find(id="metrics")) == bool(key)


def test_a_run_in_progress(page: Page, run_folder: Path, metrics: Sequence[Metric]) -> None:
    for name in ("metrics.json", "environment.json"):
        (run_folder / name).unlink()
    outline, given = page(run_folder)
    assert (given["verdict"].outcome, given["verdict"].key) == ("unknown", "")
    # Of the epochs done and planned.
    assert re.findall(r"\d+", given["verdict"].title) == ["4", "10"]
    (missing,) = outline.find("aside")
    for name in ("metrics.json", "environment.json"):
        assert name in missing.text
    assert outline.find(id="learning")
    assert not outline.find(id="metrics")


def test_an_empty_folder(page: Page, tmp_path: Path) -> None:
    outline, given = page(tmp_path)
    assert (given["verdict"].outcome, given["verdict"].key) == ("unknown", "")
    (missing,) = outline.find("aside")
    named = [problem.split()[0] for problem in given["record"].problems]
    assert named == ["config.json", "environment.json", "history.csv", "metrics.json"]
    assert all(name in missing.text for name in named)
    assert not outline.find(id="learning")


def test_damaged_files(page: Page, run_folder: Path) -> None:
    (run_folder / "metrics.json").write_text('{"metrics": {"accu', encoding="utf-8")
    (run_folder / "config.json").write_text("[1, 2]", encoding="utf-8")
    (run_folder / "environment.json").write_bytes(b"\xff\xfe{")
    with (run_folder / "history.csv").open("a", encoding="utf-8") as lines:
        lines.write("5,500,20")
    outline, given = page(run_folder)
    problems = given["record"].problems
    for file in ("metrics.json", "config.json", "environment.json", "history.csv"):
        assert sum(file in problem for problem in problems) == 1
    (missing,) = outline.find("aside")
    assert all(plain(problem) in missing.text for problem in problems)
    assert len(given["history"]["rows"]) == len(given["record"].epochs) == 4


def test_a_loss_that_overflowed_leaves_a_gap(page: Page, run_folder: Path) -> None:
    (run_folder / "history.csv").write_text(
        "epoch,loss,val_loss\n1,0.5,0.6\n2,inf,nan\n3,,nan\n", encoding="utf-8"
    )
    _, given = page(run_folder)
    rows = given["history"]["rows"]
    assert rows == [["1", "0.500", "0.600"], ["2", "–", "–"], ["3", "–", "–"]]
    assert [title for title, _ in given["curves"]] == ["Loss"]


def test_one_epoch(page: Page, run_folder: Path) -> None:
    (run_folder / "history.csv").write_text("epoch,loss\n1,0.5\n", encoding="utf-8")
    change(run_folder / "metrics.json", best={"epoch": 1, "step": 10})
    _, given = page(run_folder)
    assert ("Best epoch", "1 of 1") in given["key_figures"]
    assert given["history"]["best"] == [True]


def test_hostile_values_stay_text(page: Page, run_folder: Path) -> None:
    hostile = "<script>alert(1)</script> \ud800 $x$"
    change(run_folder / "config.json", application=hostile, config={hostile: hostile})
    change(run_folder / "environment.json", machine=hostile, command=hostile)
    change(
        run_folder / "metrics.json",
        metrics={"accuracy": 0.9, hostile: 1.0},
        baselines={hostile: {"accuracy": 0.8}},
        stopped=hostile,
    )
    outline, _ = page(run_folder, [Section(hostile, "")], purpose=hostile)
    assert not outline.find("script")
    assert outline.text.count("<script>alert(1)</script>") >= 9


def test_the_same_folder_gives_the_same_bytes(run_folder: Path) -> None:
    first = write_report(run_folder, []).read_bytes()
    assert write_report(run_folder, []).read_bytes() == first
    assert sorted(p.name for p in run_folder.iterdir()) == [
        "config.json",
        "environment.json",
        "history.csv",
        "metrics.json",
        "report.html",
    ]


def test_folders_at_fault(tmp_path: Path, run_folder: Path) -> None:
    with pytest.raises(UserError, match="no such run folder"):
        write_report(tmp_path / "nowhere", [])
    if sys.platform != "win32" and os.geteuid() != 0:
        run_folder.chmod(0o500)
    else:
        (run_folder / "report.html").mkdir()
    with pytest.raises(UserError, match=r"report\.html: cannot be written"):
        write_report(run_folder, [])
    run_folder.chmod(0o700)


def test_predictions_are_read_up_to_where_writing_was_cut_off(tmp_path: Path) -> None:
    assert read_predictions(tmp_path) == []
    rows = [{"label": "é"}, {"label": "b"}]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "predictions.jsonl").write_text(lines + '{"label": "c', encoding="utf-8")
    assert read_predictions(tmp_path) == rows
