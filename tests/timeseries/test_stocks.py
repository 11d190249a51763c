"""Stocks from quotes to a forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import apps
from apps.__main__ import main
from apps.layers.forecasting.outcome import LinearStart, OutcomeForecaster
from apps.timeseries.sample_prices import sample_prices

SMALL = {"context": 30, "units": 4, "epochs": 1, "levels": "0.1,0.5,0.9"}


def quotes(days: int = 300) -> Any:
    return sample_prices(0, days)["series"][0].frame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("stocks")
    data = folder / "quotes.csv"
    quotes(400).iloc[::-1].to_csv(data, index=False)
    return apps.train("stocks", data=str(data), until="#300", run=str(folder / "run"), **SMALL)


def test_a_forecast_is_of_the_day_after_the_last(run: Any) -> None:
    frame = quotes()
    (answer,) = run.predict(frame)
    (named,) = answer["time"]
    assert str(named) == str(np.busday_offset(frame["Date"].iloc[-1].date(), 1))
    assert answer["targets"] == ["return"]
    low, middle, high = answer["quantiles"][0][0]
    assert low < middle < high
    assert answer["forecast"][0][0] == middle


def test_names_of_columns_may_differ_from_those_learnt_from(run: Any) -> None:
    frame = quotes()
    renamed = frame.rename(columns={"Close": "Last", "Volume": "Vol.", "Date": "Day"})
    assert run.predict(renamed)[0]["quantiles"] == run.predict(frame)[0]["quantiles"]


def test_all_baselines_stand_beside_it(run: Any) -> None:
    found = run.evaluate(quotes(400), since="#300")
    assert found["examples"] == 100
    assert set(found["baselines"]) == {"persistence", "historical", "ewma", "har", "garch"}
    assert all(set(one) >= {"pinball", "coverage"} for one in found["baselines"].values())


def test_the_report_shows_the_rule_beside_buy_and_hold(run: Any) -> None:
    page = Path(run.report()).read_text(encoding="utf-8")
    assert "This is no advice" in page
    assert "buy-and-hold" in page
    assert "Is it a copy of yesterday?" in page


def test_a_leak_is_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = quotes()
    close = frame["Close"].to_numpy(float)
    data = tmp_path / "spoilt.csv"
    frame.assign(tip=np.append(np.diff(close), 0.0)).to_csv(data, index=False)
    folder = tmp_path / "run"
    arguments = ["train", "stocks", "--data", str(data), "--columns", "past=tip"]
    assert main([*arguments, "--run", str(folder), "--set", "context=30"]) == 2
    assert "the covariate 'tip' knows the future" in capsys.readouterr().err
    assert not folder.exists()


def test_the_linear_part_alone_is_where_training_begins() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(4000, 1, 2)).astype("float32")
    scale = np.exp(0.5 * features[:, 0, 1])
    target = 0.3 * features[:, 0, 0] + scale * draw.normal(size=4000)
    levels = (0.1, 0.5, 0.9)
    layer = OutcomeForecaster(levels, units=4)
    layer.build((None, 1, 2))
    layer.begin(LinearStart(features[:, 0], target, np.array(levels)).fitted())
    found = np.asarray(layer(features))[:, 0, 0]
    truth = 0.3 * features[:, :1, 0] + scale[:, None] * np.array([-1.2816, 0, 1.2816])
    assert np.abs(found - truth).mean() < 0.1
    assert (target[:, None] < found).mean(0) == pytest.approx(levels, abs=0.02)
