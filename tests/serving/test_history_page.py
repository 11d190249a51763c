"""The page with a table: its last window reaches the server, and the forecast is drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client_servers import Arrays, ScriptedModel, Tensor, http_server

from apps import catalogue
from apps.data import read
from apps.page_field import QUESTION, TOLD
from apps.serving.page import page

CHROMIUM = shutil.which("chromium")
CONTEXT, HORIZON, ROWS = 6, 3, 40
HOSTILE = '<img src=x onerror="document.title=`owned`"> ${document.title="owned"} {{value}}'


def write(file: Path, rows: int = ROWS, title: str = "sales") -> Path:
    """A table of days with a straight line."""
    dates = np.datetime64("2024-01-01") + np.arange(rows)
    cells = '"' + title.replace('"', '""') + '"'
    lines = [f"date,{cells}", *(f"{date},{row}" for row, date in enumerate(dates))]
    file.write_text("\n".join(lines))
    return file


class Forecaster(ScriptedModel):
    """Goes on in steps of one, and keeps the history that it was sent."""

    def __init__(self, learnt: Path) -> None:
        super().__init__()
        kind = catalogue.load("forecasting")
        settings = {"context": CONTEXT, "horizon": HORIZON, "levels": "0.1,0.5,0.9"}
        given = kind.input.bound(config := kind.Config.from_values(settings), 0, {})
        checked = given.check(read(learnt, kind.columns()), learning=True)
        self.channels = checked["channels"][0]
        sizes = {"context": CONTEXT, "horizon": HORIZON, "season": 1}
        self.about = {
            "config": config.to_dict(), "seed": 0, "channels": self.channels, **sizes,
        }  # fmt: skip
        raw: dict[str, Tensor] = {
            "series": ("DT_DOUBLE", (-1, CONTEXT, 1)),
            "time": ("DT_DOUBLE", (-1, CONTEXT + HORIZON)),
        }
        outputs: dict[str, Tensor] = {
            "forecast": ("DT_DOUBLE", (-1, HORIZON, 1)),
            "quantiles": ("DT_DOUBLE", (-1, HORIZON, 1, 3)),
            "targets": ("DT_STRING", (-1, 1)),
            "levels": ("DT_FLOAT", (-1, 3)),
            "time": ("DT_STRING", (-1, HORIZON)),
        }
        question, told = {QUESTION: ("DT_STRING", (-1,))}, {TOLD: ("DT_STRING", (-1,))}
        self.signatures = {"serving_default": (raw, outputs), "about_series": (question, told)}
        self.answers = {"serving_default": self.forecast, "about_series": self.tell}
        self.history = np.zeros(0)

    def tell(self, inputs: Arrays) -> Arrays:
        return {TOLD: np.array([json.dumps(self.about).encode()], object)}

    def forecast(self, inputs: Arrays) -> Arrays:
        self.history = inputs["series"][0, :, 0]
        ahead = self.history[-1] + 1 + np.arange(HORIZON)
        days = inputs["time"][0, CONTEXT:].astype("datetime64[s]").astype("datetime64[D]")
        return {
            "forecast": ahead[None, :, None],
            "quantiles": (ahead[:, None] + [-0.5, 0, 0.5])[None, :, None],
            "targets": np.array([[self.channels["targets"][0].encode()]], object),
            "levels": np.array([[0.1, 0.5, 0.9]], np.float32),
            "time": np.array([[str(day).encode() for day in days]], object),
        }


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def ask(tab: Any, file: Path, label: str, part: str) -> str:
    """Upload a table and click; gives the line under the answer once it holds a part."""
    tab.locator("input[type=file]").set_input_files(file)
    tab.get_by_label("Clear").wait_for()
    tab.get_by_role("button", name="Ask").click()
    line = tab.get_by_label(label)
    line.wait_for()
    holds = "([field, part]) => field.value.includes(part)"
    tab.wait_for_function(holds, arg=[line.element_handle(), part])
    said = line.input_value()
    tab.get_by_label("Clear").click()
    return said


def test_the_last_window_is_sent_and_its_forecast_drawn(browser: Any, tmp_path: Path) -> None:
    model = Forecaster(write(tmp_path / "learnt.csv"))
    with http_server(model) as server, page(server, model="toy") as url:
        tab = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="dark")
        tab.set_default_timeout(120_000)
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(url)
        tab.get_by_role("button", name="Ask").click()
        tab.get_by_label("No answer").wait_for()
        assert tab.get_by_label("No answer").input_value().startswith("there is no table yet")
        said = ask(tab, write(tmp_path / "few.csv", rows=4), "No answer", "few.csv")
        assert "its series has 4 rows with targets; the model reads 6" in said
        said = ask(tab, write(tmp_path / "other.csv", title="costs"), "No answer", "other.csv")
        assert said.startswith("other.csv has no column 'sales'")
        assert tab.locator("svg.chart").count() == 0
        assert ask(tab, write(tmp_path / "sales.csv"), "Answered by", "version").startswith(
            "version 3 · "
        )
        np.testing.assert_array_equal(model.history, np.arange(ROWS - CONTEXT, ROWS))
        assert tab.locator("svg.chart").count() == 1
        numbers = tab.locator(".forecasts tbody tr").all_inner_texts()
        assert [row.split() for row in numbers] == [
            ["2024-02-10", "39.5", "40", "40.5"],
            ["2024-02-11", "40.5", "41", "41.5"],
            ["2024-02-12", "41.5", "42", "42.5"],
        ]
        ink = tab.locator(".forecasts h3").evaluate("title => getComputedStyle(title).color")
        assert min(map(int, ink[4:-1].split(","))) > 200
        tab.set_viewport_size({"width": 360, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        tab.close()
    outside = {each.split("/")[2].split(":")[0] for each in asked if each.startswith("http")}
    assert outside == {"127.0.0.1"}


def test_names_of_columns_are_no_markup(browser: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "table.csv", title=HOSTILE)
    with http_server(Forecaster(file)) as server, page(server, model="toy") as url:
        tab = browser.new_page()
        tab.set_default_timeout(120_000)
        tab.goto(url)
        ask(tab, file, "Answered by", "version")
        assert tab.locator(".forecasts h3").inner_text() == HOSTILE
        assert tab.title() == "toy: try it"
        tab.close()
