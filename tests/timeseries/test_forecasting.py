"""Forecasting by the command line: limits in time, answers after the last row, backtests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import apps
import apps.run
from apps.__main__ import main
from apps.timeseries.sample_sales import least_loss, sample_sales
from apps.training.backtest import backtest

SETTINGS: dict[str, Any] = {
    "horizon": 5,
    "context": 20,
    "units": 4,
    "epochs": 1,
    "updates": 1,
    "levels": "0.1,0.5,0.9",
}
SETS = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line that rises by 2 a row, without dates."""
    file = tmp_path_factory.mktemp("line") / "line.csv"
    file.write_text("value\n" + "\n".join(str(2 * n) for n in range(200)) + "\n")
    return file


@pytest.fixture(scope="module")
def run(line: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "line"
    arguments = ["train", "forecasting", "--data", str(line), "--until", "#150"]
    assert main([*arguments, "--run", str(folder), *SETS]) == 0
    return folder


def test_a_straight_line_is_gone_on_with(run: Path, line: Path) -> None:
    found = apps.load(run)
    answer = found.predict(str(line))[0]
    wanted = np.arange(400.0, 410.0, 2)
    np.testing.assert_allclose(np.ravel(answer["forecast"]), wanted, rtol=2e-4)
    assert answer["targets"] == ["value"]
    assert answer["levels"] == pytest.approx([0.1, 0.5, 0.9])
    before = found.predict(str(line), until="#100")[0]
    np.testing.assert_allclose(np.ravel(before["forecast"]), np.arange(200.0, 210.0, 2), rtol=2e-4)


def test_plain_numbers_are_a_series(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["predict", str(run), ", ".join(str(2 * n) for n in range(30))]) == 0
    answer = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(np.ravel(answer["forecast"]), np.arange(60.0, 70.0, 2), rtol=1e-2)
    assert main(["predict", str(run), "1, 2, 3"]) == 2
    assert "the model reads 20" in capsys.readouterr().err


def test_evaluation_counts_the_windows_between_two_moments(
    run: Path, line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    limits = ["--since", "#150", "--until", "#180"]
    assert main(["evaluate", str(run), "--data", str(line), *limits, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["examples"] == 30 - 5 + 1
    assert set(found["baselines"]) == {"last_value", "seasonal_naive", "drift", "dlinear"}
    assert found["baselines"]["drift"]["mse"] < 1e-9 < found["baselines"]["last_value"]["mse"]
    assert set(found["tests"]) == set(found["baselines"])
    for test in found["tests"].values():
        assert set(test) == {"statistic", "p", "sentence"}
    assert "NaN" not in json.dumps(found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("date,v\n2024-01-01,1\n2024-01-02,x1\n2024-01-03,2\n", "row 2"),
        ("date,v\n" + "\n".join(f"2024-01-{n:02},{n}" for n in range(1, 9)), "horizon=ROWS"),
        ("date,v\n" + "\n".join(f"2024-01-{n:02},7" for n in range(1, 29)), "always 7"),
    ],
)
def test_bad_tables_are_refused_before_anything_is_written(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content)
    arguments = ["train", "forecasting", "--data", str(file), "--run", str(tmp_path / "run")]
    assert main([*arguments, *SETS]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error
    assert str(file) in error
    assert not (tmp_path / "run").exists()


def test_a_backtest_never_learns_from_what_it_measures(tmp_path: Path) -> None:
    tables = sample_sales(0, stores=2, days=120)["series"]
    said: list[str] = []
    data = [{"series": one} for one in tables]
    settings: dict[str, Any] = {**SETTINGS, "log": said.append}
    found = backtest("forecasting", data, folds=2, run=tmp_path / "walk", **settings)
    first, second = found["folds"]
    assert first["until"] == second["since"]
    for number, fold in enumerate((first, second), 1):
        about = json.loads((tmp_path / f"walk/fold-{number}/config.json").read_text())
        assert about["data"]["until"] == fold["since"]
        assert fold["examples"] > 0
    assert found["mean"]["mae"] == pytest.approx((first["mae"] + second["mae"]) / 2)
    assert json.loads((tmp_path / "walk/backtest.json").read_text()) == json.loads(
        json.dumps(found)
    )
    said.clear()
    again = backtest("forecasting", data, folds=2, run=tmp_path / "walk", resume=True, **settings)
    assert again["mean"] == found["mean"]
    assert not any("epoch" in line and "loss" in line for line in said)


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> apps.run.Run:
    """An autoregressive model that goes on row by row."""
    settings = {**SETTINGS, "model": "autoregressive", "scaling": "raw", "paths": 20}
    data = [{"series": one} for one in sample_sales(0, stores=1, days=120)["series"]]
    return apps.train("forecasting", data, run=tmp_path_factory.mktemp("drawn") / "run", **settings)


def test_a_drawing_model_forecasts_and_streams_from_its_saved_model(
    drawing: apps.run.Run, tmp_path: Path
) -> None:
    data = [{"series": one} for one in sample_sales(0, stores=1, days=120)["series"]]
    answer = drawing.predict(data)[0]
    assert (np.diff(answer["quantiles"], axis=-1) >= 0).all()
    version = drawing.export(tmp_path, log=lambda line: None)
    loaded = tf.saved_model.load(str(version))
    step = loaded.signatures["step"]
    application = drawing.application
    asked = application.input.asked(
        application.check(sample_sales(0, stores=1, days=120), learning=False),
        application.metadata(),
    )
    raw, rows = application.raw(asked), SETTINGS["context"]
    states = {
        name: tf.zeros([1, *spec.shape[1:]]) for name, spec in application.stream_states().items()
    }
    found = []
    for row in range(rows):
        chunk = {"series": raw["series"][:, row : row + 1]}
        chunk |= {name: raw[name][:, row + 1 : row + 2] for name in ("future", "time")}
        out = step(**{name: tf.constant(value) for name, value in chunk.items()}, **states)
        states = {name: out[name] for name in states}
        found.append(out["quantiles"].numpy())
    # The row after the window's last one is the first that a forecast of the window has.
    np.testing.assert_allclose(found[-1][0, 0], answer["quantiles"][0], rtol=1e-4)


def test_a_drawing_model_reads_no_past_covariates(tmp_path: Path) -> None:
    frame = {"a": np.arange(100.0) % 7, "b": np.arange(100.0) % 5}
    with pytest.raises(apps.UserError, match=r"past covariates \(b\)"):
        apps.train(
            "forecasting",
            frame,
            columns={"target": "a", "past": "b"},
            run=tmp_path / "run",
            **{**SETTINGS, "model": "autoregressive"},
        )
    assert not (tmp_path / "run").exists()


def test_a_model_of_whole_windows_says_how_to_stream(run: Path) -> None:
    assert "model=autoregressive" in apps.load(run).application.no_stream()


def test_what_has_no_time_cannot_be_walked_through(tmp_path: Path) -> None:
    with pytest.raises(apps.UserError, match="no order of time"):
        backtest("sentiment", "sample", folds=2, run=tmp_path / "walk")


def test_nothing_beats_the_true_deciles_of_the_sample() -> None:
    draw = np.random.default_rng(0)
    shocks, paths = np.zeros((40_000, 3)), np.zeros(40_000)
    for row in range(3):
        paths = 0.7 * paths + draw.normal(0, 0.06, len(paths))
        shocks[:, row] = paths
    levels = np.arange(1, 10) / 10
    difference = shocks[..., None] - np.quantile(shocks, levels, axis=0).T
    loss = np.maximum(levels * difference, (levels - 1) * difference).mean()
    assert least_loss(3) == pytest.approx(loss, rel=0.01)
