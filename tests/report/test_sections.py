"""The sections that classifiers contribute: right numbers, any size, nothing executable."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from apps.report.sections import Section, calibration, confusion, examples_table

HOSTILE = [
    "<script>alert(1)</script>",
    "$\\frac{1}{$",
    '"><img src=x onerror=alert(1)>',
    "a\x00b\x1b\ud800\uffff",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
    "",
]


def row(number: int, truth: str, label: str, confidence: float, text: str = "") -> dict[str, Any]:
    return {
        "place": f"reviews.csv row {number}",
        "input": text or f"text {number}",
        "truth": truth,
        "label": label,
        "probabilities": {label: confidence, "other": 1 - confidence},
    }


def words(section: Section) -> str:
    """The section's text without markup, white space as one space."""
    return " ".join(re.sub(r"<[^>]*>", " ", section.html).replace("\u202f", " ").split())


def test_confusion_of_two_classes_shows_counts_and_shares() -> None:
    section = confusion(["no", "yes"], ["no"] * 4 + ["yes"] * 5, ["no"] * 3 + ["yes"] * 6)
    text = words(section)
    assert "8 of 9 examples" in text
    assert "no 3 75.0 % 1 25.0 % 4" in text
    assert "yes 0 0.0 % 5 100.0 % 5" in text
    assert "no taken for yes , 1 times (25.0 % of its examples)" in text
    # Precision, recall and F1 of "yes": 5/6, 5/5, 10/11.
    assert "yes 5 83.3 % 100.0 % 90.9 %" in text
    assert "<svg" not in section.html


def test_confusion_of_many_classes_is_a_map_with_the_worst_pairs() -> None:
    labels = [f"class {i}" for i in range(50)]
    truth = labels * 10
    predicted = ["class 7" if name == "class 3" else name for name in truth]
    section = confusion(labels, truth, predicted)
    assert section.html.count("<svg") == 1
    assert "class 3 class 7 10 100.0 %" in words(section)
    assert "var(--wrong-6)" in section.html
    assert all(f">{label}</text>" in section.html for label in labels)


def test_confusion_of_hundreds_of_classes_shows_those_with_mistakes() -> None:
    labels = [f"c{i:03}" for i in range(300)]
    predicted = [*labels[:290], *labels[280:290]]
    section = confusion(labels, labels, predicted)
    assert "The 60 classes with most mistakes, of 300." in words(section)
    assert all(f">{label}</text>" in section.html for label in labels[280:])
    assert ">c279</text>" not in section.html


def test_confusion_refuses_a_label_that_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="maybe"):
        confusion(["no", "yes"], ["no"], ["maybe"])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        confusion(["no", "yes"], ["no", "yes"], ["no"])


def test_calibration_names_the_direction() -> None:
    sure = np.tile([0.95, 0.05], (10, 1))
    half_right = np.array([0, 1] * 5)
    assert "45.0 points above its accuracy" in words(calibration(sure, half_right))
    modest = np.tile([0.6, 0.4], (10, 1))
    text = words(calibration(modest, np.zeros(10, int)))
    assert "calibration error is 40.0 %" in text
    assert "too modest" in text
    assert "60.0 % to 66.7 %" not in text, "0.6 belongs to the bin that ends there"
    assert "53.3 % to 60.0 % 10 60.0 % 100.0 % 72.2 % to 100.0 %" in text


def test_examples_are_sorted_into_right_wrong_and_undecided() -> None:
    rows = [
        row(1, "a", "a", 0.99),
        row(2, "a", "b", 0.97),
        row(3, "b", "b", 0.51),
        row(4, "a", "b", 0.6),
        row(5, "b", "b", 0.9),
    ]
    wrong, rest = examples_table(rows).html.split("Least certain")
    uncertain, right = rest.split("Most confidently right")
    numbers = [
        [int(n) for n in re.findall(r"row (\d)", part)] for part in (wrong, uncertain, right)
    ]
    assert numbers == [[2, 4], [3, 4, 5, 2, 1], [1, 5, 3]]


def test_long_texts_are_cut() -> None:
    section = examples_table([row(1, "a", "a", 0.9, "word " * 100_000)])
    assert len(section.html) < 10_000
    assert "word…" in section.html


def test_sections_of_no_rows_and_of_one() -> None:
    for section in (confusion([], [], []), confusion(["a", "b"], [], [])):
        assert "no predictions" in section.html
    assert "no predictions" in calibration(np.zeros((0, 2)), np.zeros(0, int)).html
    assert "no predictions" in examples_table([]).html
    assert "1 of 1 examples" in words(confusion(["a", "b"], ["a"], ["a"]))
    assert "There is no mistake" in confusion(["a", "b"], ["a"], ["a"]).html
    assert "error is 20.0 %" in words(calibration([[0.8, 0.2]], [0]))
    assert "reviews.csv row 1" in examples_table([row(1, "a", "a", 0.8)]).html


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
