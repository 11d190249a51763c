"""The page of a run: what it says, and that it says it from one file, whatever is missing."""

from __future__ import annotations

import html.parser
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.errors import UserError
from apps.report.record import read_predictions
from apps.report.report import write_report
from apps.report.sections import Section, confusion

REFERENCES = {"src", "href", "xlink:href", "action", "poster", "data", "srcset", "formaction"}


class Outline(html.parser.HTMLParser):
    """Tags, references, identifiers, handlers and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self.tags or self.tags[-1][0] != "style":
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).replace("\u202f", " ").split())

    def values(self, names: set[str]) -> list[str]:
        return [v or "" for _, attributes in self.tags for k, v in attributes.items() if k in names]


def outline(folder: Path, sections: list[Section] | None = None, **arguments: Any) -> Outline:
    return Outline(write_report(folder, sections or [], **arguments).read_text(encoding="utf-8"))


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}), encoding="utf-8")


def test_a_finished_run(run_folder: Path) -> None:
    page = outline(run_folder, [Section("Own & part", "<p>inside</p>")], purpose="Which label.")
    for expected in (
        "Sentiment 91.3 % accuracy, 5.2 points above bag of words",
        "Which label.",
        "Beats the best baseline",
        "on 500 validation examples (95 % bootstrap interval 88.8 % to 93.6 %)",
        "Cross-entropy lower is better 0.240 nats 0.200 nats to 0.280 nats 0.692 nats 0.350 nats",
        "Training ended early",
        "best: epoch 3",
        "Parameters 1,234,567",
        "Time per example 0.420 ms",
        "Training time 12.6 min",
        "reviews.csv, 4,500 examples",
        "split off the training data, 500 examples",
        "Skipped 3 unusable examples",
        "tokens none",
        "python -m apps train sentiment --data 'my reviews.csv'",
        "tensorflow 2.21.0",
        "Own & part",
        "inside",
    ):
        assert expected in page.text
    assert "incomplete" not in page.text
    # Loss, accuracy, learning rate, comparison.
    assert [tag for tag, _ in page.tags].count("svg") == 4


def test_nothing_is_referred_to_outside_the_file(run_folder: Path) -> None:
    labels = [f"label {i}" for i in range(30)]
    page = outline(run_folder, [confusion(labels, labels, labels[::-1])])
    references = page.values(REFERENCES)
    assert references
    assert all(reference.startswith(("#", "data:")) for reference in references)
    identifiers = page.values({"id"})
    assert len(identifiers) == len(set(identifiers))
    assert {r[1:] for r in references if r.startswith("#")} <= set(identifiers)
    source = (run_folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(
        r"https?:|@import|//[a-z]|<script|<iframe|<object|<link rel=.style", source
    )
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", source))


def test_pictures_and_tables_can_be_heard(run_folder: Path) -> None:
    page = outline(run_folder)
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all(p["role"] == "img" and len(p["aria-label"] or "") > 20 for p in pictures)
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags


@pytest.mark.parametrize(
    ("accuracy", "interval", "title", "badge", "sentence"),
    [
        (0.87, [0.85, 0.89], "0.9 points above", "Not shown to differ", "may be chance"),
        (0.85, [0.83, 0.87], "1.1 points below", "Not shown to differ", "The model is behind"),
        (0.8, [0.78, 0.82], "6.1 points below", "Loses to the best", "the model loses to it"),
        (0.861, [0.84, 0.88], "the same as", "Not shown to differ", "exactly the same"),
        (0.9, None, "3.9 points above", "Not tested against chance", "without an interval"),
    ],
)
def test_the_verdict_is_as_the_figures_are(
    run_folder: Path,
    accuracy: float,
    interval: list[float] | None,
    title: str,
    badge: str,
    sentence: str,
) -> None:
    spans = {"accuracy": interval} if interval else {}
    change(run_folder / "metrics.json", metrics={"accuracy": accuracy}, interval=spans)
    page = outline(run_folder)
    assert f"{title} bag of words" in page.text
    assert badge in page.text
    assert sentence in page.text


def test_lower_is_better_where_it_is(run_folder: Path) -> None:
    change(
        run_folder / "metrics.json",
        metrics={"perplexity": 31.25},
        interval={"perplexity": [30.0, 32.5]},
        baselines={"unigram": {"perplexity": 900.0}, "n_gram": {"perplexity": 44.0}},
    )
    text = outline(run_folder).text
    assert "31.250 perplexity, 12.750 below n gram" in text
    assert "the model beats it" in text


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"baselines": {}}, "No baseline was measured beside it"),
        ({"metrics": {"accuracy": float("nan")}}, "Training diverged"),
        ({"metrics": {}}, "No metric was measured"),
        ({"metrics": None, "cost": [], "best": {}, "baselines": 3}, "No metric was measured"),
    ],
)
def test_results_with_holes(run_folder: Path, changed: dict[str, Any], expected: str) -> None:
    change(run_folder / "metrics.json", **changed)
    assert expected in outline(run_folder).text


def test_a_run_in_progress(run_folder: Path) -> None:
    for name in ("metrics.json", "environment.json"):
        (run_folder / name).unlink()
    text = outline(run_folder).text
    assert "4 of at most 10 epochs done, not evaluated yet" in text
    assert "This report is incomplete" in text
    assert "metrics.json is missing" in text
    assert "environment.json is missing" in text
    assert "Learning curves" in text


def test_an_empty_folder(tmp_path: Path) -> None:
    text = outline(tmp_path).text
    assert "No epoch has finished yet" in text
    for name in ("config.json", "environment.json", "history.csv", "metrics.json"):
        assert f"{name} is missing" in text


def test_damaged_files(run_folder: Path) -> None:
    (run_folder / "metrics.json").write_text('{"metrics": {"accu', encoding="utf-8")
    (run_folder / "config.json").write_text("[1, 2]", encoding="utf-8")
    (run_folder / "environment.json").write_bytes(b"\xff\xfe{")
    with (run_folder / "history.csv").open("a", encoding="utf-8") as lines:
        lines.write("5,500,20")
    text = outline(run_folder).text
    assert "metrics.json cannot be read" in text
    assert "config.json does not hold a JSON object" in text
    assert "environment.json cannot be read" in text
    assert "history.csv: 1 incomplete row(s) left out" in text
    assert "All 4 epochs as a table" in text


def test_a_loss_that_overflowed_leaves_a_gap(run_folder: Path) -> None:
    (run_folder / "history.csv").write_text(
        "epoch,loss,val_loss\n1,0.5,0.6\n2,inf,nan\n3,,nan\n", encoding="utf-8"
    )
    page = outline(run_folder)
    assert "3 – –" in page.text
    assert "Loss" in page.text


def test_one_epoch(run_folder: Path) -> None:
    (run_folder / "history.csv").write_text("epoch,loss\n1,0.5\n", encoding="utf-8")
    change(run_folder / "metrics.json", best={"epoch": 1, "step": 10})
    assert "Best epoch 1 of 1" in outline(run_folder).text


def test_hostile_values_stay_text(run_folder: Path) -> None:
    hostile = "<script>alert(1)</script> \ud800 $x$"
    change(run_folder / "config.json", application=hostile, config={hostile: hostile})
    change(run_folder / "environment.json", machine=hostile, command=hostile)
    change(
        run_folder / "metrics.json",
        metrics={"accuracy": 0.9, hostile: 1.0},
        baselines={hostile: {"accuracy": 0.8}},
        stopped=hostile,
    )
    page = outline(run_folder, [Section(hostile, "")], purpose=hostile)
    assert not {"script"} & {tag for tag, _ in page.tags}
    assert page.text.count("<script>alert(1)</script>") >= 9


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
