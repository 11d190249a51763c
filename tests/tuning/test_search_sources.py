"""The rows that a search looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from invented import Search

from apps import catalogue
from apps.data import Examples
from apps.errors import UserError
from apps.training.plan import Plan
from apps.training.session import Session
from tuning.folder import SearchFolder
from tuning.settings import SearchSettings
from tuning.sources import read_sources

ROWS, LAST = 300, 200
LIMITS = {"since": "2020-01-11", "until": f"#{LAST}"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A week that repeats, and numbers of another size after the last row that is searched on."""
    row = np.arange(ROWS)
    values = np.where(row < LAST, 10 + row % 7 + row / 100, 1e9 * (row + 1))
    dates = pandas.date_range("2020-01-01", periods=ROWS)
    file = tmp_path / "table.csv"
    pandas.DataFrame({"date": dates, "y": values}).to_csv(file, index=False)
    return file


def asked(data: Path, **more: Any) -> SearchSettings:
    values: dict[str, Any] = {"data": str(data), "fix": {"context": 14}, "objective": "pinball"}
    return SearchSettings(application="forecasting", **{**values, **more})


def seen(folder: Path, settings: SearchSettings) -> tuple[Any, SearchSettings]:
    """What the probe of a search has learnt, and the search's settings with what was found."""
    kind = catalogue.load(settings.application)
    probe = kind(kind.Config.from_values({**settings.fix, "objective": settings.objective}))
    sources = (settings.data, settings.validation, settings.test)
    found, _ = read_sources(settings, probe, SearchFolder(folder), *sources)
    return probe, found


def test_a_search_until_a_time_sees_no_row_after_it(table: Path, tmp_path: Path) -> None:
    probe, found = seen(tmp_path / "search", asked(table, **LIMITS))
    scaling = probe.adapted["panel"]
    assert scaling.means["series"][0] < 20
    assert scaling.deviations["series"][0] < 5
    assert probe.config.season == 7

    job = Search(tmp_path / "invented", SearchSettings(**{**vars(found), "fix": {}})).scheduler
    trial = job.next("w")
    assert trial is not None
    source = trial.source
    assert {key: source[key] for key in LIMITS} == LIMITS
    application = catalogue.load("forecasting")(probe.config)
    checked = application.check(Plan(**source).read(), learning=True)
    rows = [places_of(checked)]
    for side in application.input.split(checked, 0.2, None):
        rows.append(places_of(application.input.units(side)))
    assert rows[0] == (10, LAST)
    assert rows[1][1] <= rows[2][0]
    assert rows[2][1] == LAST


def places_of(examples: Examples) -> tuple[int, int]:
    """The first row that counts and the one behind the last."""
    (one,) = {id(one): one for one in examples["series"]}.values()
    return one.first, one.last


def test_the_test_source_has_limits_of_its_own(table: Path, tmp_path: Path) -> None:
    limits = {"until": f"#{LAST}", "test_since": f"#{LAST}"}
    _, found = seen(tmp_path / "search", asked(table, test=str(table), **limits))
    assert found.test_overlap == 0
    _, found = seen(tmp_path / "search", asked(table, test=str(table), until=f"#{LAST}"))
    assert found.test_overlap == LAST - 14
    with pytest.raises(UserError, match=r"--since '#400' leaves no row"):
        seen(tmp_path / "search", asked(table, test=str(table), test_since="#400"))


def test_rows_without_time_have_no_limits(tmp_path: Path) -> None:
    settings = SearchSettings(application="sentiment", data="sample", until="2020")
    with pytest.raises(UserError, match="stand in no order of time"):
        seen(tmp_path / "search", SearchSettings(**{**vars(settings), "objective": "accuracy"}))


def test_a_search_on_sensors_takes_its_labels_from_files(table: Path, tmp_path: Path) -> None:
    windows = tmp_path / "windows.csv"
    windows.write_text("start,end\n2020-02-01,2020-02-03\n")
    settings = SearchSettings(
        application="anomalies",
        data=str(table),
        test=str(table),
        objective="auc_pr",
        labels=str(windows),
        test_labels=str(windows),
        until=f"#{LAST}",
        test_since=f"#{LAST}",
    )
    _, found = seen(tmp_path / "search", settings)
    assert (found.labels, found.test_labels) == (str(windows), str(windows))
    trial = Search(tmp_path / "invented", found).scheduler.next("w")
    assert trial is not None
    application = catalogue.load("anomalies")(catalogue.load("anomalies").Config())
    (labels,) = application.check(Plan(**trial.source).read(), learning=True)["labels"]
    np.testing.assert_array_equal(np.flatnonzero(labels == 1), [31, 32, 33])


def test_a_model_for_each_series_is_not_searched(table: Path) -> None:
    plan = Plan("anomalies", str(table), settings={"scope": "each"})
    with pytest.raises(UserError, match="take scope=shared"):
        Session(plan)
