"""The page's field for tables of series: what it sends, what it draws, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import tensorflow as tf

from apps import catalogue
from apps.application import Application
from apps.errors import UserError
from apps.page_field import QUESTION, TOLD

HOSTILE = "<img src=x onerror=alert(1)>"


def composed(name: str) -> Application:
    """The application at its tiny size, its model not trained."""
    kind = catalogue.load(name)
    tiny = kind.tiny()
    application = kind(kind.Config.from_values({**tiny.settings, "horizon": 7}))
    application.compose(application.input.units(application.check(tiny.examples, learning=True)))
    return application


@pytest.fixture(scope="module")
def forecasting() -> Application:
    return composed("forecasting")


def told(application: Application) -> tuple[Any, dict[str, Any]]:
    """The input as the page binds it, and what the model tells of itself."""
    signature = application.signatures()[application.input.page_field.about]  # type: ignore[union-attr]
    assert list(signature.inputs) == [QUESTION]
    answers = signature.call(tf.constant(["", "twice"]))[TOLD].numpy()
    assert answers[0] == answers[1]
    about = json.loads(answers[0])
    kind = type(application)
    return kind.input.bound(kind.Config.from_values(about["config"]), about["seed"], {}), about


def written(application: Application, folder: Path, **changes: Any) -> Path:
    file = folder / "table.csv"
    frame = type(application).tiny().examples["series"][0].frame
    frame.assign(**changes).to_csv(file, index=False)
    return file


@pytest.mark.parametrize("name", ["forecasting", "stocks"])
def test_a_table_becomes_what_the_application_itself_would_send(name: str, tmp_path: Path) -> None:
    application = composed(name)
    given, about = told(application)
    requests = given.page_field.requests(str(written(application, tmp_path)), given, about)
    units = application.input.asked(type(application).tiny().examples, application.metadata())
    raw = application.raw(units)
    assert len(requests.rows) == len(units)
    for row, request in enumerate(requests.rows):
        assert set(request) == set(raw)
        for key, values in raw.items():
            np.testing.assert_allclose(request[key], values[row], rtol=1e-6)


def test_the_answers_are_bands_and_numbers_that_hold_no_markup(
    forecasting: Application, tmp_path: Path
) -> None:
    given, about = told(forecasting)
    stores = type(forecasting).tiny().examples["series"][0].frame["store"]
    file = written(forecasting, tmp_path, store=stores.replace({"north": HOSTILE}))
    requests = given.page_field.requests(str(file), given, about)
    answer = {
        "targets": ["sales"],
        "levels": [0.1, 0.5, 0.9],
        "quantiles": [[[day, day + 0.25, day + 0.5]] for day in range(7)],
        "time": [f"2021-06-{day:02}" for day in range(3, 10)],
    }
    html = requests.shown([answer, answer])
    assert html.count("<svg") == 2
    assert "var(--model)" in html
    assert '<th scope="row">2021-06-09</th><td>6</td><td>6.25</td><td>6.5</td>' in html
    assert HOSTILE not in html
    assert "&lt;img src=x" in html
    assert "further" not in html


def test_few_series_are_asked_about_and_the_others_are_counted(
    forecasting: Application, tmp_path: Path
) -> None:
    given, about = told(forecasting)
    frame = type(forecasting).tiny().examples["series"][0].frame
    north = frame[frame["store"] == "north"]
    file = tmp_path / "table.csv"
    pandas.concat(north.assign(store=f"shop {n}") for n in range(6)).to_csv(file, index=False)
    many = given.page_field.requests(str(file), given, about)
    assert len(many.rows) == 4
    answer = {"targets": ["sales"], "levels": [0.5], "quantiles": [[[1.0]]] * 7}
    assert "The table has 2 further series, which were not asked about" in many.shown([answer] * 4)


def test_what_cannot_be_asked_is_one_line_with_the_name_of_the_file(
    forecasting: Application, tmp_path: Path
) -> None:
    given, about = told(forecasting)
    frame = type(forecasting).tiny().examples["series"][0].frame
    early = frame[frame["sales"].notna()]
    north = frame[frame["store"] == "north"]
    tables = {
        r"^table.csv has no column 'promo', a future covariate": north.drop(columns="promo"),
        r"^table.csv, series 'north', row \d+: its series has 9 rows .* 28": north[:9],
        r"known-future covariates end here, 0 rows after .* needs 7": early,
    }
    for words, table in tables.items():
        file = tmp_path / "table.csv"
        table.to_csv(file, index=False)
        with pytest.raises(UserError, match=words) as refused:
            given.page_field.requests(str(file), given, about)
        assert "\n" not in str(refused.value)
        assert str(tmp_path) not in str(refused.value)
    with pytest.raises(UserError, match="no table yet"):
        given.page_field.requests(None, given, about)
