"""The command line: exit codes and what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import apps

ROOT = Path(apps.__file__).parents[1]
SMALL = ["--set", "units=8", "--set", "embedding=8", "--epochs", "1"]
Table = Callable[..., Path]


def process(*arguments: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "apps", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_list_names_every_application(answered: Callable[..., str]) -> None:
    listed = json.loads(answered("list", "--json"))["applications"]
    assert {entry["name"] for entry in listed} == set(apps.APPLICATIONS)
    assert all(entry["answers"] for entry in listed)
    assert len(answered("list").splitlines()) == len(apps.APPLICATIONS)


def test_list_needs_no_tensorflow() -> None:
    code = (
        "import sys; from apps.__main__ import main; "
        "assert main(['list']) == 0; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_evaluate_prints_one_object_of_finite_numbers(
    answered: Callable[..., str], table: Table, reviews: list[dict[str, str]], run_of_reviews: Path
) -> None:
    rows = [*reviews[:20], {"text": "  ", "label": "positive"}]
    shown = answered("evaluate", run_of_reviews, "--data", table(rows), "--json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    measured = json.loads(shown, parse_constant=refuse)
    assert (measured["examples"], measured["skipped"]) == (20, 1)
    assert set(measured["baselines"]) == {"majority", "bag_of_words", "ngrams_alone"}
    assert 0 <= measured["accuracy"] <= 1
    lines = answered("evaluate", run_of_reviews, "--data", table(rows)).splitlines()
    assert lines[0] == "20 examples, 1 skipped (empty)"
    names = [line.split()[0] for line in lines[2:]]
    assert names == ["model", "95", "majority", "bag_of_words", "ngrams_alone"]


def test_predict_answers_every_input_in_order(
    answered: Callable[..., str], table: Table, run_of_reviews: Path
) -> None:
    texts = ["The plot is gripping.", "", "   ", "🎬 прекрасно 很好 \u202eabc\x00", "<b></b>"]
    file = table([{"text": text} for text in ["from a file", *texts[:2]]])
    lines = answered("predict", run_of_reviews, *texts, "--file", file).splitlines()
    answers = [json.loads(line) for line in lines]
    assert len(answers) == len(texts) + 3
    for answer in answers:
        assert set(answer["probabilities"]) == {"negative", "positive"}
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert answers[0] == answers[6]
    assert answers[1] == answers[2] == answers[7]


def test_predict_without_input_is_refused(
    refused: Callable[..., str], tmp_path: Path, run_of_reviews: Path
) -> None:
    assert "--file" in refused("predict", run_of_reviews)
    line = refused("predict", run_of_reviews, "--file", tmp_path / "none.csv")
    assert "none.csv" in line


def test_report_is_written_again(answered: Callable[..., str], run_of_reviews: Path) -> None:
    report = run_of_reviews / "report.html"
    before = report.read_text(encoding="utf-8")
    report.write_text("spoilt")
    assert answered("report", run_of_reviews).strip() == str(report)
    assert report.read_text(encoding="utf-8") == before


def test_five_star_classes_under_other_column_names(tmp_path: Path) -> None:
    words = ["awful", "weak", "fair", "good", "superb"]
    rows = "".join(f'"A {words[i % 5]} film, all told",{i % 5 + 1}\n' for i in range(100))
    (tmp_path / "films.csv").write_text(f"review body,stars\n{rows}\n", encoding="utf-8")
    columns = ("--columns", "text=review body,label=stars")
    trained = process(
        *("train", "sentiment", "--data", "films.csv", *columns, "--run", "run", *SMALL),
        folder=tmp_path,
    )
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout == "run\n"
    assert "Traceback" not in trained.stderr
    run = apps.load(tmp_path / "run")
    assert list(run.predict(["A good film"])[0]["probabilities"]) == ["1", "2", "3", "4", "5"]
    assert run.evaluate(tmp_path / "films.csv")["examples"] == 100


def test_exit_code_of_a_process_whose_user_is_at_fault() -> None:
    done = process("train", "sentiment", "--data", "nowhere.csv")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [done.stderr.rstrip("\n")]
    assert "nowhere.csv" in done.stderr
