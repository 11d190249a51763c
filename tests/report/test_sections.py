"""The sections that classifiers contribute: right numbers, any size, nothing executable."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from outline import Outline

from apps.report import sections
from apps.report.sections import calibration, confusion, examples_table

HOSTILE = [
    "<script>alert(1)</script>",
    "$\\frac{1}{$",
    '"><img src=x onerror=alert(1)>',
    "a\x00b\x1b\ud800\uffff",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
    "",
]

Values = dict[str, dict[str, Any]]


@pytest.fixture
def seen(given: Callable[[Any], Values]) -> Values:
    """What the template of each section was last filled with."""
    return given(sections)


def row(number: int, truth: str, label: str, confidence: float, text: str = "") -> dict[str, Any]:
    return {
        "place": f"reviews.csv row {number}",
        "input": text or f"text {number}",
        "truth": truth,
        "label": label,
        "probabilities": {label: confidence, "other": 1 - confidence},
    }


def test_confusion_of_two_classes_shows_counts_and_shares(seen: Values) -> None:
    section = confusion(["no", "yes"], ["no"] * 4 + ["yes"] * 5, ["no"] * 3 + ["yes"] * 6)
    values = seen["confusion.html.j2"]
    assert values["counts"] == [[3, 1], [0, 5]]
    assert values["shares"] == [[0.75, 0.25], [0.0, 1.0]]
    assert (values["right"], values["total"]) == (8, 9)
    assert values["frequent"] == [{"true": "no", "predicted": "yes", "count": 1, "share": 0.25}]
    yes = values["classes"][1]
    assert [yes[name] for name in ("precision", "recall", "f1")] == [5 / 6, 5 / 5, 10 / 11]
    outline = Outline(section.html)
    confused, classes = outline.tables
    assert confused[1:] == [
        ["no", "3 75.0 %", "1 25.0 %", "4"],
        ["yes", "0 0.0 %", "5 100.0 %", "5"],
    ]
    assert classes[2] == ["yes", "5", "83.3 %", "100.0 %", "90.9 %"]
    assert not outline.find("svg")


def test_confusion_of_many_classes_is_a_map_with_the_worst_pairs(seen: Values) -> None:
    labels = [f"class {i}" for i in range(50)]
    truth = labels * 10
    predicted = ["class 7" if name == "class 3" else name for name in truth]
    outline = Outline(confusion(labels, truth, predicted).html)
    assert seen["confusion.html.j2"]["frequent"] == [
        {"true": "class 3", "predicted": "class 7", "count": 10, "share": 1.0}
    ]
    assert len(outline.find("svg")) == 1
    assert outline.tables[0][1] == ["class 3", "class 7", "10", "100.0 %"]
    assert {one.text for one in outline.find("text")} >= set(labels)
    assert any("var(--wrong-6)" in style for style in outline.values({"style", "fill"}))


def test_confusion_of_hundreds_of_classes_shows_those_with_mistakes(seen: Values) -> None:
    labels = [f"c{i:03}" for i in range(300)]
    predicted = [*labels[:290], *labels[280:290]]
    outline = Outline(confusion(labels, labels, predicted).html)
    assert seen["confusion.html.j2"]["shown"] == 60
    drawn = {one.text for one in outline.find("text")}
    assert drawn >= set(labels[280:])
    assert "c279" not in drawn
    assert {"60", "300"} <= set(re.findall(r"\d+", outline.find("figcaption")[0].text))


def test_confusion_refuses_a_label_that_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="maybe"):
        confusion(["no", "yes"], ["no"], ["maybe"])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        confusion(["no", "yes"], ["no", "yes"], ["no"])


@pytest.mark.parametrize(
    ("confidence", "hit", "error", "direction"),
    [
        ([0.95] * 10, [True, False] * 5, 0.45, "overconfident"),
        ([0.6] * 10, [True] * 10, -0.4, "underconfident"),
        ([0.75] * 4, [True, True, True, False], 0.0, "agree"),
    ],
)
def test_calibration_has_a_direction(
    seen: Values, confidence: list[float], hit: list[bool], error: float, direction: str
) -> None:
    section = calibration(confidence, hit, 2)
    values = seen["calibration.html.j2"]
    assert values["error"] == pytest.approx(abs(error))
    assert values["overconfidence"] == pytest.approx(error)
    words = ("overconfident", "underconfident", "agree")
    said = Outline(section.html).find("p")[0].text
    assert [word for word in words if word in said] == [direction]


def test_bins_of_calibration_are_a_table(seen: Values) -> None:
    section = calibration([0.6] * 10, [True] * 10, 2)
    (only,) = seen["calibration.html.j2"]["rows"]
    # 0.6 belongs to the bin that ends there.
    assert (only["from"], only["to"]) == pytest.approx((8 / 15, 9 / 15))
    assert (only["count"], only["accuracy"]) == (10, 1.0)
    assert only["confidence"] == pytest.approx(0.6)
    assert (only["low"], only["high"]) == pytest.approx((0.722, 1.0), abs=1e-3)
    assert Outline(section.html).tables[0][1:] == [
        ["53.3 % to 60.0 %", "10", "60.0 %", "100.0 %", "72.2 % to 100.0 %"]
    ]


def test_examples_are_sorted_into_right_wrong_and_undecided(seen: Values) -> None:
    rows = [
        row(1, "a", "a", 0.99),
        row(2, "a", "b", 0.97),
        row(3, "b", "b", 0.51),
        row(4, "a", "b", 0.6),
        row(5, "b", "b", 0.9),
    ]
    outline = Outline(examples_table(rows).html)
    groups = [
        [int(one["place"].split()[-1]) for one in members]
        for _, members, _ in seen["examples.html.j2"]["groups"]
    ]
    assert groups == [[2, 4], [3, 4, 5, 2, 1], [1, 5, 3]]
    items = [item for one in outline.find("ol") for item in one.inside if item.tag == "li"]
    shown = [int(re.findall(r"row (\d)", item.text)[0]) for item in items]
    assert shown == [number for group in groups for number in group]


def test_long_texts_are_cut() -> None:
    section = examples_table([row(1, "a", "a", 0.9, "word " * 100_000)])
    assert len(section.html) < 10_000
    assert "word…" in section.html


def test_sections_of_no_rows() -> None:
    for section in (
        confusion([], [], []),
        confusion(["a", "b"], [], []),
        calibration(np.zeros(0), np.zeros(0, bool), 2),
        examples_table([]),
    ):
        outline = Outline(section.html)
        assert outline.find(class_="none")
        assert not outline.find("table")


def test_sections_of_one_row(seen: Values) -> None:
    confusion(["a", "b"], ["a"], ["a"])
    values = seen["confusion.html.j2"]
    assert (values["right"], values["total"], values["frequent"]) == (1, 1, [])
    calibration([0.8], [True], 2)
    assert seen["calibration.html.j2"]["error"] == pytest.approx(0.2)
    assert "reviews.csv row 1" in Outline(examples_table([row(1, "a", "a", 0.8)]).html).text


@pytest.mark.parametrize("classes", [len(HOSTILE), 20])
def test_hostile_labels_and_texts_stay_text(classes: int) -> None:
    labels = HOSTILE + [f"label {i}" for i in range(classes - len(HOSTILE))]
    predicted = labels[1:] + labels[:1]
    rows = [
        row(i, true, label, 0.9, text)
        for i, (true, label, text) in enumerate(zip(labels, predicted, labels, strict=True))
    ]
    for section in (confusion(labels, labels, predicted), examples_table(rows)):
        tags = set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", section.html))
        assert not tags & {"script", "img", "b"}
        assert "&lt;script&gt;" in section.html
        assert "&lt;img" in section.html
        assert "$\\frac" in section.html
        assert "{{ 7 * 7 }}" in section.html
        assert "&amp;lt;b&amp;gt;" in section.html
        assert not re.search(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\uffff]", section.html)
