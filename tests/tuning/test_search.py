"""A search from the command line and from Python: found, shown, killed, resumed, refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from waiting import LIMIT, until

import apps
import tuning

ROOT = Path(apps.__file__).parents[1]
TINY = {
    "ngrams": "0",
    "embeddings": "random",
    "vocabulary": "100",
    "max_tokens": "12",
    "epochs": "2",
    "batch_size": "16",
}
NARROW = {"units": "2:6", "embedding": "2:6", "depth": "1:2"}
ASKED: dict[str, Any] = {"algorithm": "random", "fix": TINY, "space": NARROW}


def arguments(data: Path, run: Path, **more: Any) -> list[str]:
    """The command of a small random search."""
    words = ["sentiment", "--data", str(data), "--run", str(run), "--algorithm", "random"]
    for option, pairs in (("--fix", TINY), ("--space", NARROW)):
        words += [word for key, value in pairs.items() for word in (option, f"{key}={value}")]
    values = {"trials": 3, "finalists": 0, **more}
    for key, value in values.items():
        words += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    return words


def start(words: list[str], said: Path) -> subprocess.Popen[str]:
    with said.open("a") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "tuning", *words], cwd=ROOT, text=True,
            stdout=subprocess.DEVNULL, stderr=stream,
        )  # fmt: skip


def shown(run: Path) -> dict[str, Any]:
    found = tuning.load(run)
    return json.loads(json.dumps(dict(found), allow_nan=False))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from apps.text.sentiment import Sentiment

    examples = Sentiment.sample(0).select(range(160))
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    with file.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines)
        rows.writerow(["text", "label"])
        rows.writerows(zip(examples["text"], examples["label"], strict=True))
    return file


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nothing has disturbed."""
    run = tmp_path_factory.mktemp("whole") / "search"
    said = run.parent / "said.txt"
    words = arguments(data, run, finalists=1, seeds=2, test=data)
    assert start(words, said).wait(10 * LIMIT) == 0, said.read_text()
    return run


def scores(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What two searches with one seed have in common, to the last bit."""
    return [(row["id"], row["status"], row["score"], row["values"]) for row in found["trials"]]


def test_it_finds_retrains_measures_and_reports(whole: Path, data: Path) -> None:
    found = tuning.load(whole)
    result = shown(whole)
    assert result["phase"] == "done"
    assert [row["id"] for row in result["trials"]] == ["0000", "0001", "0002"]
    assert all(row["status"] == "COMPLETED" for row in result["trials"])
    best = result["best"]
    assert best["seeds"] == 2
    winner = next(final for final in result["finals"] if final["trial"] == best["id"])
    assert best["score"] == pytest.approx(sum(winner["scores"]) / 2)
    assert best["score"] == max(final["mean"] for final in result["finals"])
    assert result["test"]["accuracy"] == found.run.evaluate(str(data))["accuracy"]
    for key, value in best["values"].items():
        assert getattr(found.run.application.config, key) == (
            tuple(value) if isinstance(value, list) else value
        )
    page = (whole / "tuning.html").read_text()
    assert f"{best['id']}" in page
    assert (whole / "final" / "report.html").is_file()
    assert list((whole / "tensorboard").rglob("events*"))


def test_an_ended_search_stays_what_it_is(whole: Path, data: Path, tmp_path: Path) -> None:
    before = shown(whole)
    said: list[str] = []
    given = {**ASKED, "run": whole, "resume": True}
    again = tuning.search("sentiment", str(data), trials=9, seeds=3, log=said.append, **given)
    assert json.loads(json.dumps(dict(again))) == before
    assert any("has ended already" in line for line in said)
    other = tmp_path / "other.csv"
    other.write_text(data.read_text())
    with pytest.raises(apps.UserError, match=r"was measured on .*reviews.csv, once"):
        tuning.search("sentiment", str(data), test=str(other), log=said.append, **given)
    # The test rows of this search are the ones it searched on, which it says.
    assert "160 of its rows are also among those searched on" in (whole / "tuning.html").read_text()


def test_labels_that_only_the_test_rows_have_show_before_anything_is_trained(
    data: Path, tmp_path: Path
) -> None:
    strange = tmp_path / "strange.csv"
    strange.write_text("text,label\nnot bad,unheard\n")
    for source in ("test", "validation"):
        with pytest.raises(apps.UserError, match=r"strange.csv.*label 'unheard'"):
            tuning.search(
                "sentiment", str(data), run=tmp_path / "search", log=lambda line: None,
                **{source: str(strange)},
            )  # fmt: skip
    few = tmp_path / "few.csv"
    few.write_text("text,label\ngood,1\n")
    with pytest.raises(apps.UserError, match=r"few.csv"):
        tuning.search("sentiment", str(few), run=tmp_path / "search", log=lambda line: None)
    assert not (tmp_path / "search").exists()


def test_the_leaderboard_is_what_the_trials_own_files_say(whole: Path) -> None:
    for row in shown(whole)["trials"]:
        folder = whole / f"trial_{row['id']}"
        with (folder / "run" / "history.csv").open() as lines:
            history = list(csv.DictReader(lines))
        # Of few rows the loss may have chosen an epoch that is not the most accurate one.
        assert row["score"] in {float(epoch["val_accuracy"]) for epoch in history}
        config = json.loads((folder / "run" / "config.json").read_text())["config"]
        assert {key: config[key] for key in row["values"]} == row["values"]
        assert f"{row['score']:.4f}" in (folder / "trial.log").read_text()
        assert json.loads((folder / "trial.json").read_text())["score"] == row["score"]


def test_killed_and_interrupted_it_ends_as_if_nothing_had_happened(
    whole: Path, data: Path, tmp_path: Path
) -> None:
    run, said = tmp_path / "search", tmp_path / "said.txt"
    words = [*arguments(data, run, finalists=1, seeds=2, test=data), "--resume"]
    kill_when_it_trains("0000", run, start(words, said))
    child = start(words, said)
    until(lambda: (run / "trial_0001" / "run").is_dir())
    # The trial may end meanwhile; the search begins no other one.
    child.send_signal(signal.SIGSTOP)
    with pytest.raises(apps.UserError, match="another search runs in this folder; wait for it"):
        tuning.search("sentiment", str(data), run=run, resume=True, **ASKED)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGCONT)
    assert child.wait(LIMIT) == 130
    lines = said.read_text().splitlines()
    assert lines[-1].endswith(f"--run {run} --resume")
    assert any("0000" in line and "%" in line for line in lines), lines
    status = [row["status"] for row in shown(run)["trials"]]
    assert status[0] == "COMPLETED"
    assert status.count("COMPLETED") < 3
    assert_no_other_search_goes_on(run, data)
    kill_when_it_trains("final-*-2", run, start(words, said))
    assert start(words, said).wait(10 * LIMIT) == 0, said.read_text()
    assert scores(shown(run)) == scores(shown(whole))
    assert shown(run)["finals"] == shown(whole)["finals"]
    assert shown(run)["test"]["accuracy"] == shown(whole)["test"]["accuracy"]
    for trial in ("0000", "0001", "0002"):
        log = (run / f"trial_{trial}" / "trial.log").read_text()
        assert log.count("all epochs are done") + log.count("stopped improving") == 1, log
    assert "Traceback" not in said.read_text()


def kill_when_it_trains(trial: str, run: Path, search: subprocess.Popen[str]) -> None:
    until(lambda: any(run.glob(f"trial_{trial}/run/checkpoints/last.npz")))
    search.kill()
    search.wait()


def assert_no_other_search_goes_on(run: Path, data: Path) -> None:
    for change, message in (
        ({"space": {**NARROW, "units": "2:7"}}, "other space: units was 2:6, is 2:7"),
        ({"fix": {**TINY, "max_tokens": "13"}}, "other fixed values: max_tokens was 12, is 13"),
        ({"algorithm": "bayesian"}, "algorithm random, not bayesian"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"objective": "f1"}, "objective accuracy, not f1"),
    ):
        with pytest.raises(apps.UserError, match=message):
            tuning.search("sentiment", str(data), run=run, resume=True, **{**ASKED, **change})
    other = run.parent / "other.csv"
    other.write_text("".join(data.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(apps.UserError, match="began with other data"):
        tuning.search("sentiment", str(other), run=run, resume=True, **ASKED)
    with pytest.raises(apps.UserError, match="holds a search; continue it with --resume"):
        tuning.search("sentiment", str(data), run=run, **ASKED)


def test_rows_in_memory_over_the_budget_and_no_way_to_win(tmp_path: Path) -> None:
    from apps.text.sentiment import Sentiment, SentimentConfig

    examples = Sentiment.sample(0).select(range(80))
    rows = [
        {"body": text, "stars": label}
        for text, label in zip(examples["text"], examples["label"], strict=True)
    ]
    known = SentimentConfig.ranges()
    defaults = SentimentConfig.defaults().items()
    given = {key: value for key, value in defaults if known[key].searched and key != "units"}
    with pytest.raises(apps.UserError, match=r"none of \d+ trials completed.*parameters .* > 1"):
        tuning.search(
            "sentiment", rows, columns={"text": "body", "label": "stars"}, fix={**given, **TINY},
            space={"units": "2,3"}, algorithm="grid", budget={"parameters": 1},
            run=tmp_path / "search", log=lambda line: None,
        )  # fmt: skip
    found = shown(tmp_path / "search")
    assert found["best"] is None
    assert {row["status"] for row in found["trials"]} == {"FAILED"}
    assert all(row["cost"]["parameters"] > 1 for row in found["trials"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sentimant"], "did you mean 'sentiment'"),
        (["sentiment", "--objective", "acuracy"], "did you mean 'accuracy'"),
        (["sentiment", "--algorithm", "grid"], "give --trials or --minutes"),
        (["sentiment", "--epochs", "2", "--fix", "epochs=3"], "leave one of them out"),
        (["sentiment", "--data", "nowhere.csv"], "nowhere.csv"),
        (["sentiment", "--resume"], "name the folder of the search with --run"),
        (["show", "nowhere"], "nowhere: no such folder"),
        (["show", "apps"], "holds no search"),
        (["worker", "--id", "1"], "--chief"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from tuning.__main__ import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "apps").mkdir()
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr().err.strip()
    assert code == 2
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said
    assert os.listdir(tmp_path) == ["apps"]
