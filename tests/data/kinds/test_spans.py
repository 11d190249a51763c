"""Columns of spans and of sentences, as annotation tools and Python hand them over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.data import read
from apps.data.kinds.sentence import Words, sentence
from apps.data.kinds.spans import Tags, spans
from apps.errors import UserError

COLUMNS = {"text": sentence(), "spans": spans()}
TEXT = "Ann flew to Oslo"
EXPECTED = ((0, 3, "per"), (12, 16, "loc"))


def parsed(value: Any) -> Any:
    return read([{"text": TEXT, "spans": value}], COLUMNS)["spans"][0]


@pytest.mark.parametrize(
    "value",
    [
        [[0, 3, "per"], [12, 16, "loc"]],
        [[12, 16, "loc"], [0, 3, "per"], [0, 3, "per"]],
        [(0, 3, " per "), (12, 16, "loc")],
        [{"start": 0, "end": 3, "label": "per"}, {"start": 12, "end": 16, "label": "loc"}],
        [
            {"start_offset": 0, "end_offset": 3, "label": "per", "id": 1},
            {"start_offset": 12, "end_offset": 16, "label": "loc", "id": 2},
        ],
        [
            {"start": 0, "end": 3, "entity_group": "per", "score": 0.9},
            {"start": 12, "end": 16, "entity_group": "loc", "score": 0.8},
        ],
        {"entities": [[0, 3, "per"], [12, 16, "loc"]]},
        '[[0, 3, "per"], [12, 16, "loc"]]',
        [[np.int64(0), np.int64(3), "per"], [12, 16, "loc"]],
    ],
)
def test_spans_in_the_spellings_of_tools(value: Any) -> None:
    assert parsed(value) == EXPECTED


@pytest.mark.parametrize("value", [["B-per", "O", "O", "B-loc"], "B-per O O B-loc"])
def test_a_tag_for_each_token(value: Any) -> None:
    assert parsed(value) == Tags(("B-per", "O", "O", "B-loc"))


def test_types_in_either_unicode_form_are_one() -> None:
    one, other = (parsed([[0, 3, kind]]) for kind in ("caf\u00e9", "cafe\u0301"))
    assert one == other


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[0, 3, "per"], [2, 6, "loc"]], ["[0, 3, 'per']", "[2, 6, 'loc']", "overlap"]),
        ([[0, 3, "per"], [0, 3, "loc"]], ["overlap"]),
        ([[3, 3, "per"]], ["ends behind its start"]),
        ([[-1, 3, "per"]], ["0 or later"]),
        ([[0, 3]], ["[start, end, type]"]),
        ([[0, 3.5, "per"]], ["whole numbers"]),
        ([[True, 3, "per"]], ["whole numbers"]),
        ([[0, 3, ""]], ["a type"]),
        ([{"start": 0, "label": "per"}], ["'end'"]),
        (["B-per", "X", "O", "O"], ["'X'"]),
        ({"start": 0}, ["'entities'"]),
        (7, ["type int"]),
        ("[[0, 3", ["not JSON"]),
    ],
)
def test_what_is_no_span_is_refused(value: Any, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parsed(value)
    line = str(error.value)
    assert "row 1" in line
    assert [word for word in words if word not in line] == [], line


@pytest.mark.parametrize(
    "record",
    [
        {"text": TEXT, "spans": [[0, 3, "per"], [12, 16, "loc"]]},
        {"text": TEXT, "entities": [[0, 3, "per"], [12, 16, "loc"]]},
        {"text": TEXT, "labels": [[0, 3, "per"], [12, 16, "loc"]]},
        {"data": TEXT, "label": [[0, 3, "per"], [12, 16, "loc"]]},
    ],
)
def test_files_of_annotation_tools(tmp_path: Path, record: dict[str, Any]) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(json.dumps(record) + "\n")
    examples = read(path, COLUMNS)
    assert examples["text"] == [TEXT]
    assert list(examples["spans"]) == [EXPECTED]


def test_tokens_in_place_of_a_text() -> None:
    rows = [{"tokens": ["Ann", "flew"], "ner_tags": ["B-per", "O"]}]
    examples = read(rows, COLUMNS)
    assert examples["text"] == ["Ann flew"]
    assert examples["text"][0].tokens == ("Ann", "flew")
    array = np.array(["Ann", "flew"])
    assert read([{"text": array, "spans": []}], COLUMNS)["text"] == [Words(["Ann", "flew"])]


def test_texts_are_kept_to_the_letter() -> None:
    text = " cafe\u0301 \u00e9 "
    assert read([{"text": text, "spans": []}], COLUMNS)["text"] == [text]


@pytest.mark.parametrize("value", [["Ann", " "], ["Ann", ""], 7])
def test_what_is_no_sentence_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match="row 1: the text"):
        read([{"text": value, "spans": []}], COLUMNS)
