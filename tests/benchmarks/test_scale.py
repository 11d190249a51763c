"""Rows that the scale benchmark makes, and the slope that it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps import catalogue
from benchmarks.scale import rows_of, slope


def test_rows_differ_from_those_they_are_made_of_but_not_in_their_letters_places(
    tmp_path: Path,
) -> None:
    sample = catalogue.load("sentiment").sample(0)
    count = len(sample) + 5
    rows = rows_of("sentiment", count, tmp_path)
    assert set(rows) == set(sample.columns)
    assert {len(values) for values in rows.values()} == {count}
    assert len(set(rows["text"])) > 0.9 * count
    assert [len(text) for text in rows["text"][:50]] == [len(t) for t in sample["text"][:50]]
    assert rows["label"][:50] == list(sample["label"][:50])


def test_slope_is_the_power_of_the_rows() -> None:
    before, after = {"rows": 100, "seconds": 2.0}, {"rows": 1000, "seconds": 2.0 * 10**1.5}
    assert slope(before, after) == pytest.approx(1.5)
