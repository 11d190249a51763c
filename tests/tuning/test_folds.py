"""A search that scores on folds, from the command line to the trained winner."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
import pytest

import apps
import tuning


def test_trials_are_scored_by_the_mean_over_folds(tmp_path: Path) -> None:
    rows = np.arange(200)
    dates = pandas.date_range("2020-01-01", periods=200)
    table = pandas.DataFrame({"date": dates, "y": 10 + np.sin(rows)})
    table.to_csv(tmp_path / "table.csv", index=False)
    found = tuning.search(
        "forecasting",
        str(tmp_path / "table.csv"),
        folds=2,
        algorithm="random",
        trials=1,
        finalists=0,
        seeds=0,
        fix={"epochs": 1, "context": 14, "horizon": 7, "units": 4},
        run=tmp_path / "search",
        workers=1,
        log=lambda line: None,
    )
    (trial,) = dict(found)["trials"]
    (walked,) = (tmp_path / "search").rglob("backtest.json")
    folds = json.loads(walked.read_text())["folds"]
    assert len(folds) == 2
    assert folds[0]["until"] == folds[1]["since"]
    assert trial["score"] == pytest.approx(np.mean([fold["pinball"] for fold in folds]))
    # The winner has learnt from all rows.
    assert apps.load(tmp_path / "search" / "final").metrics["examples"]["train"] > 100


def test_too_few_rows_for_the_folds_show_before_anything_is_trained(tmp_path: Path) -> None:
    table = pandas.DataFrame({"y": np.arange(60.0)})
    table.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(apps.UserError, match="too few for 9 folds"):
        tuning.search(
            "forecasting",
            str(tmp_path / "table.csv"),
            folds=9,
            algorithm="random",
            fix={"horizon": 7, "context": 14},
            run=tmp_path / "search",
            log=lambda line: None,
        )
    assert not (tmp_path / "search" / "trial_0000").exists()
