"""A model for each series: as good as one trained alone, and asked for its own series only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import apps
from apps.__main__ import main
from apps.each_run import EachRun

SMALL: dict[str, Any] = {"units": 4, "epochs": 1, "ahead": 8, "window": 64}
NAMES = ["a pump", "a_pump"]


def table(number: int) -> pandas.DataFrame:
    draw = np.random.default_rng(number)
    rows = np.arange(300)
    flow = 10.0**number * (5 + np.sin(rows / 8) + 0.1 * draw.normal(size=300))
    label = (rows >= 260) & (rows < 270)
    flow[label] *= 3.0
    times = pandas.date_range("2024-01-01", periods=300, freq="min")
    return pandas.DataFrame({"time": times, "flow": flow, "label": label.astype(int)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pumps")
    for number, name in enumerate(NAMES):
        table(number).to_csv(found / f"{name}.csv", index=False)
    return found


@pytest.fixture(scope="module")
def each(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> EachRun:
    run = tmp_path_factory.mktemp("each") / "run"
    found: Any = apps.train(
        "anomalies", folder, run=run, scope="each", until="#200", log=lambda line: None, **SMALL
    )
    assert isinstance(found, EachRun)
    return found


def test_each_model_is_the_one_that_is_trained_alone(
    each: EachRun, folder: Path, tmp_path: Path
) -> None:
    file = folder / "a_pump.csv"
    alone = apps.train(
        "anomalies", file, run=tmp_path / "alone", until="#200", log=lambda line: None, **SMALL
    )
    own = each.run("a_pump")
    for one, other in zip(alone.model.weights, own.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert alone.metrics["metrics"] == own.metrics["metrics"]
    assert alone.predict(str(file)) == own.predict(str(file)) == each.predict(str(file))
    figures = alone.evaluate(file, since="#200")
    together = each.evaluate(folder, since="#200")
    assert together["by_series"]["a_pump"] == {k: figures[k] for k in figures["interval"]}
    assert together["examples"] == 2 * figures["examples"]
    assert set(together["baselines"]) == set(figures["baselines"])
    low, high = together["interval"]["auc_pr"]
    assert low <= together["auc_pr"] <= high


def test_series_are_answered_by_their_own_model(each: EachRun, folder: Path) -> None:
    answers = each.predict(folder)
    assert [len(answer["score"]) for answer in answers] == [300, 300]
    for name, answer in zip(NAMES, answers, strict=True):
        assert answer == each.run(name).predict(str(folder / f"{name}.csv"))[0]
    assert answers[0] != each.run("a_pump").predict(str(folder / "a pump.csv"))[0]


def test_the_command_line_asks_them_together(
    each: EachRun, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(each.folder)
    assert main(["evaluate", run, "--data", str(folder), "--since", "#200", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert set(measured["by_series"]) == set(NAMES)
    assert main(["predict", run, "--file", str(folder)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["doctor", run, "--json"]) == 0
    assert all(one["cudnn"] for one in json.loads(capsys.readouterr().out)["layers"])
    assert main(["report", run]) == 0
    page = Path(capsys.readouterr().out.strip()).read_text()
    for child in ("a_pump/report.html", "a_pump-2/report.html"):
        assert child in page
        assert (each.folder / child).is_file()


@pytest.mark.usefixtures("trusting")
def test_each_is_exported_under_a_name_of_its_own(
    each: EachRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One of them is enough to wait for.
    monkeypatch.setattr(each, "files", {"a_pump": each.files["a_pump"]})
    base = each.export(tmp_path / "models", log=lambda line: None)
    assert (base / "anomalies.a_pump-2" / "1" / "saved_model.pb").is_file()


def test_what_has_no_model_is_refused(
    each: EachRun, folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    other = tmp_path / "a pumps.csv"
    shutil.copy(folder / "a pump.csv", other)
    with pytest.raises(apps.UserError, match=r"no model of a series 'a pumps'.*mean 'a pump'"):
        each.predict(other)
    assert "name one of them, such as" in refused("stream", each.folder, other)


def test_short_and_repeated_series_are_refused_before_anything_is_written(
    folder: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    table(2).iloc[:30].to_csv(mixed / "short.csv", index=False)
    with pytest.raises(apps.UserError, match="'short' has too few rows for a model of its own"):
        apps.train("anomalies", mixed, scope="each", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_training_goes_on_where_it_stopped(
    each: EachRun, folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(each.folder, run)
    shutil.rmtree(run / "a_pump-2")
    stamp = (run / "a_pump" / "model.keras").stat().st_mtime_ns
    given: dict[str, Any] = {"run": run, "scope": "each", "until": "#200", "resume": True}
    again: Any = apps.train("anomalies", folder, log=lambda line: None, **given, **SMALL)
    assert (run / "a_pump" / "model.keras").stat().st_mtime_ns == stamp
    assert again.metrics["a_pump"]["metrics"] == each.metrics["a_pump"]["metrics"]
    with pytest.raises(apps.UserError, match="other settings or series"):
        apps.train("anomalies", folder, **given, **{**SMALL, "units": 5})
    with pytest.raises(apps.UserError, match="not an empty folder"):
        apps.train("anomalies", folder, **{**given, "resume": False}, **SMALL)
