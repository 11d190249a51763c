"""The page of a search in a browser: it fits a phone, sorts, marks lines, fetches nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from browser import contrast
from searches import HOSTILE, ended, fail

from tuning.report.page import write_page

FIRST_CELLS = "[...document.querySelectorAll('#trials tbody tr')].map(row => row.dataset.trial)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = ended(40)
    trials = [*record.trials[:-1], fail(record.trials[-1], f"{HOSTILE} {'unbroken' * 40}")]
    changed = dataclasses.replace(record, trials=tuple(trials), failed_finals=(HOSTILE,))
    return write_page(changed, tmp_path_factory.mktemp("search") / "tuning.html")


def test_it_runs_its_own_script_only_and_asks_for_nothing(browser: Any, file: Path) -> None:
    browser.open(file)
    assert "accuracy" in browser.evaluate("document.querySelector('h1').innerText")
    assert browser.evaluate("document.title") != "owned"
    assert browser.evaluate("document.querySelectorAll('#trials thead button').length") > 8
    said = [
        event
        for event in browser.events
        if event["method"]
        in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    ]
    assert said == []
    asked = {
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
    # What slipped in would not run: the policy knows the digest of the page's own script alone.
    browser.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), "
        "{textContent: 'document.title = \"owned\"'}))"
    )
    assert browser.evaluate("document.title") != "owned"


def test_it_fits_a_phone(browser: Any, file: Path) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=800,
        deviceScaleFactor=2,
        mobile=True,
    )
    browser.open(file)
    width = browser.evaluate("document.documentElement.scrollWidth")
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert width == 360


def test_the_table_sorts_by_any_column_both_ways_with_empty_cells_last(
    browser: Any, file: Path
) -> None:
    browser.open(file)
    first = browser.evaluate(FIRST_CELLS)
    heading = (
        "[...document.querySelectorAll('#trials thead th')]"
        ".find(cell => cell.innerText.startsWith('units 2'))"
    )
    values = (
        "[...document.querySelectorAll('#trials tbody tr')]"
        f".map(row => row.cells[{heading}.cellIndex].innerText)"
    )
    for way in ("ascending", "descending"):
        browser.evaluate(f"{heading}.querySelector('button').click()")
        assert browser.evaluate(f"{heading}.getAttribute('aria-sort')") == way
        shown = browser.evaluate(values)
        widths = [int(text) for text in shown if text]
        assert widths == sorted(widths, reverse=way == "descending")
        assert len(set(widths)) > 3
        assert shown[len(widths) :] == [""] * (len(shown) - len(widths))
    assert sorted(browser.evaluate(FIRST_CELLS)) == sorted(first)


def test_a_focused_trial_is_marked_in_the_drawing(browser: Any, file: Path) -> None:
    browser.open(file)
    trial = browser.evaluate(FIRST_CELLS)[1]
    browser.evaluate(f"document.querySelector('#trial-{trial} a').focus()")
    marked = "[...document.querySelectorAll('.line.on')].map(line => line.dataset.trial)"
    assert browser.evaluate(marked) == [trial]
    assert f"Trial {trial}:" in browser.evaluate("document.querySelector('#caption').innerText")
    browser.evaluate("document.activeElement.blur()")
    assert browser.evaluate(marked) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_of_table_and_drawing_are_readable(browser: Any, file: Path, scheme: str) -> None:
    """At least 4.5 to 1, as WCAG 2.2 asks in criterion 1.4.3."""
    browser.prefer(scheme)
    browser.open(file)
    surface = color_of(browser, "body", "backgroundColor")
    for selector in (".board .FAILED", ".board td.number"):
        assert contrast(color_of(browser, selector, "color"), surface) >= 4.5, selector
    heading = ".board thead th"
    raised = color_of(browser, heading, "backgroundColor")
    assert contrast(color_of(browser, heading, "color"), raised) >= 4.5
    for selector in (".parallel .halo", ".parallel .title"):
        assert contrast(color_of(browser, selector, "fill"), surface) >= 4.5, selector


def color_of(browser: Any, selector: str, kind: str) -> str:
    """A computed colour as `#rrggbb`."""
    style = f"getComputedStyle(document.querySelector('{selector}')).{kind}"
    return browser.evaluate(
        f"'#' + {style}.match(/\\d+/g).slice(0, 3)"
        ".map(part => Number(part).toString(16).padStart(2, '0')).join('')"
    )
