"""Programs and first commands of README.md and docs/ run as they stand there.

Programs are the blocks of Python that begin with an import: README.md trains, measures and exports
with the settings of `tiny()` and without the gate; tuning.md searches with one trial; serving.md
asks a scripted server. Other blocks of Python are only compiled. The first commands (train,
evaluate, predict) of the pages in `MADE` run on small files under the names that the page uses,
with the settings of `tiny()` where the page gives none; those of other applications take more than
10 s and are only read, by test_docs.py. docs/application.md has test_application_page.py.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pandas
import pytest
from client_servers import ScriptedModel, grpc_server
from documents import TEXTS, blocks, commands
from footage import write

import apps
import tuning
from apps import catalogue
from apps.__main__ import main
from apps.text.sample_reviews import sample_reviews
from apps.timeseries.sample_prices import sample_prices
from apps.timeseries.sample_sales import sample_sales
from apps.video.sample_clips import sample_clips


def made_reviews(folder: Path, text: str = "text", label: str = "label") -> None:
    for name, seed in (("reviews.csv", 3), ("test.csv", 4)):
        rows = sample_reviews(seed=seed, reviews=120)
        table = pandas.DataFrame({text: rows["text"], label: rows["label"]})
        table.to_csv(folder / name, index=False)


def made_sales(folder: Path) -> None:
    table = sample_sales(0, stores=2, days=300)["series"][0].frame
    # Fifty days of sales follow the day on which the page parts them.
    later = pandas.Timestamp("2024-01-01") - table["date"].min() - pandas.Timedelta(days=250)
    table.assign(date=table["date"] + later).to_csv(folder / "sales.csv", index=False)


def made_quotes(folder: Path) -> None:
    table = sample_prices(0, days=1000)["series"][0].frame
    table.to_csv(folder / "quotes.csv", index=False)


def made_clips(folder: Path) -> None:
    clips = sample_clips(0, rows=48)
    for row, (video, label) in enumerate(zip(clips["video"], clips["label"], strict=True)):
        write(folder / "clips" / label / f"{row}.mp4", video.content.array, fps=12)
    for row, name in enumerate(("one.mp4", "two.mp4")):
        write(folder / name, clips["video"][row].content.array, fps=12)
    pandas.DataFrame({"video": ["one.mp4", "two.mp4"], "label": clips["label"][:2]}).to_csv(
        folder / "test.csv", index=False
    )


MADE = {
    "sentiment": made_reviews,
    "forecasting": made_sales,
    "stocks": made_quotes,
    "actions": made_clips,
}


PYTHON = [
    pytest.param(name, code, id=f"{name}-{number}")
    for name in TEXTS
    if name != "application.md"
    for number, code in enumerate(blocks(name, "python"))
]


@pytest.mark.parametrize(("name", "code"), PYTHON)
def test_blocks_of_python_run(
    name: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusting: None
) -> None:
    compiled = compile(code, name, "exec")
    if not code.startswith(("import ", "from ")):
        return
    monkeypatch.chdir(tmp_path)
    made_reviews(tmp_path, text="review", label="stars")
    tiny, train, search = catalogue.load("sentiment").tiny().settings, apps.train, tuning.search

    def small_train(application: str, **given: Any) -> Any:
        return train(application, **{"log": lambda line: None, **given, **tiny})

    def small_search(application: str, **given: Any) -> Any:
        few = {"trials": 1, "finalists": 0, "algorithm": "random", "fix": tiny, "minutes": None}
        return search(application, log=lambda line: None, **{**given, **few})

    monkeypatch.setattr(apps, "train", small_train)
    monkeypatch.setattr(tuning, "search", small_search)
    served = re.search(r"grpc://127\.0\.0\.1:\d+", code)
    with grpc_server(_Sentiment()) if served else contextlib.nullcontext("") as url:
        if served:
            compiled = compile(code.replace(served[0], url), name, "exec")
        exec(compiled, {})


class _Sentiment(ScriptedModel):
    """The scripted model under the names and versions that pages ask for."""

    def choose(self, name: str, version: int | None, label: str | None) -> None:
        assert name in catalogue.APPLICATIONS
        super().choose("toy", None, label)


@pytest.mark.parametrize("name", MADE)
def test_first_commands_of_a_page_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    MADE[name](tmp_path)
    for _, *command in commands(blocks(f"{name}.md", "sh")[0]):
        if command[0] == "train":
            own = {word.partition("=")[0] for word in command if "=" in word}
            settings = catalogue.load(name).tiny().settings
            command += [f"--set={k}={v}" for k, v in settings.items() if k not in own]
        assert main(command) == 0, capsys.readouterr().err
    assert capsys.readouterr().out
