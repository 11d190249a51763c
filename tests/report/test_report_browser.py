"""The page in a browser: it renders, runs nothing, asks for nothing, and fits a phone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import contrast, luminance

from apps.report.quantities import Metric
from apps.report.record import read_record
from apps.report.report import write_report
from apps.report.sections import Section, calibration, confusion, examples_table
from apps.report.verdict import judge

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def classifier_sections(classes: int) -> list[Section]:
    labels = [HOSTILE, *(f"label {i}" for i in range(1, classes))]
    generator = np.random.default_rng(0)
    truth = generator.integers(0, classes, 200)
    probabilities = generator.dirichlet(np.ones(classes), 200)
    predicted = [labels[i] for i in probabilities.argmax(axis=1)]
    rows = [
        {
            "place": f"reviews.csv row {i + 1}",
            "input": f"{HOSTILE} {'unbroken' * 40}",
            "truth": labels[truth[i]],
            "label": predicted[i],
            "probabilities": dict(zip(labels, probabilities[i], strict=True)),
        }
        for i in range(200)
    ]
    return [
        confusion(labels, [row["truth"] for row in rows], predicted),
        calibration(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth, classes),
        examples_table(rows),
    ]


@pytest.mark.parametrize("classes", [2, 50])
def test_the_page_shows_its_headline_and_asks_for_nothing(
    browser: Any, run_folder: Path, metrics: Sequence[Metric], classes: int
) -> None:
    file = write_report(run_folder, classifier_sections(classes), metrics=metrics)
    browser.open(file)
    headline = browser.evaluate("document.querySelector('h1').innerText")
    title = judge(read_record(run_folder, metrics)).title
    assert headline.split() == ["Sentiment", *title.split()]
    assert browser.evaluate("document.title").startswith("Sentiment: 91.3")
    assert browser.evaluate("document.querySelectorAll('script, img').length") == 0
    assert browser.evaluate("document.querySelectorAll('svg').length") >= 5
    said = [
        event
        for event in browser.events
        if event["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled")
        or event["method"] == "Runtime.exceptionThrown"
    ]
    assert said == []
    asked = {
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert file.as_uri() in asked
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}


@pytest.mark.parametrize("classes", [2, 50])
def test_the_page_fits_a_phone(browser: Any, run_folder: Path, classes: int) -> None:
    file = write_report(run_folder, classifier_sections(classes))
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=800,
        deviceScaleFactor=2,
        mobile=True,
    )
    browser.open(file)
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    browser.call("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_readable(browser: Any, run_folder: Path, scheme: str) -> None:
    """At least 4.5 to 1 for text, as WCAG 2.2 asks in criterion 1.4.3."""
    browser.prefer(scheme)
    browser.open(write_report(run_folder, []))
    names = ["surface", "raised", "ink", "muted", "model", "other", "good", "bad"]
    colors = browser.evaluate(
        f"Object.fromEntries({json.dumps(names)}.map(name => [name, "
        "getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()]))"
    )
    dark = luminance(colors["surface"]) < luminance(colors["ink"])
    assert dark == (scheme == "dark")
    for name in names[2:]:
        assert contrast(colors[name], colors["surface"]) >= 4.5, name
    assert contrast(colors["ink"], colors["raised"]) >= 4.5
