"""Texts as an input: few enough rows are held out."""

from __future__ import annotations

import pytest

from apps.components import input as inputs
from apps.data import Examples
from apps.inputs.texts import Texts


def examples(rows: int) -> Examples:
    columns = {
        "text": [f"word{row} again" for row in range(rows)],
        "label": ["a", "b"] * (rows // 2),
    }
    return Examples(columns, [f"row {row}" for row in range(rows)], "made")


def test_of_very_many_rows_no_more_are_held_out_than_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inputs, "_MOST_HELD_OUT", 20)
    sides = [Texts().split(examples(rows), 0.1, "label") for rows in (100, 1000)]
    assert [len(held_out) for _, held_out in sides] == [10, 20]
