"""Texts as an input: split into words once, and few enough rows held out."""

from __future__ import annotations

import numpy as np
import pytest

from apps import components
from apps.configuration import ApplicationConfig
from apps.data import Examples
from apps.inputs.texts import Texts
from apps.layers.text import WordIds


def examples(rows: int) -> Examples:
    columns = {
        "text": [f"word{row} again" for row in range(rows)],
        "label": ["a", "b"] * (rows // 2),
    }
    return Examples(columns, [f"row {row}" for row in range(rows)], "made")


def test_training_texts_are_split_once(monkeypatch: pytest.MonkeyPatch) -> None:
    words = WordIds(["again"], 10, name="words")
    texts = Texts().bound(ApplicationConfig(), 0, {"words": words})
    training, others = examples(6), examples(4)
    flat, split = WordIds.flat, []

    def counting(layer: WordIds, given: list[str]) -> tuple[np.ndarray, np.ndarray]:
        split.append(len(given))
        return flat(layer, given)

    monkeypatch.setattr(WordIds, "flat", counting)
    ids = texts.ids(words, training)
    assert len(texts.tensors(others)["ids"]) == 4
    assert texts.tensors(training)["ids"] is ids
    assert split == [6, 4]
    np.testing.assert_array_equal(texts.tensors(training)["ids"].values, ids.values)
    assert split == [6, 4, 6]


def test_of_very_many_rows_no_more_are_held_out_than_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(components, "_MOST_HELD_OUT", 20)
    sides = [Texts().split(examples(rows), 0.1, "label") for rows in (100, 1000)]
    assert [len(held_out) for _, held_out in sides] == [10, 20]
