"""Spans of characters become spans of tokens, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from apps.data import Examples
from apps.data.kinds.sentence import Words
from apps.data.kinds.spans import Tags
from apps.errors import UserError
from apps.tasks.tagging.alignment import aligned, token_spans


def examples(text: str, spans: Any) -> Examples:
    return Examples({"text": [text], "spans": [spans]}, ["data row 1"], "data")


def moved(text: str, spans: Any, *, letters: bool = False) -> Any:
    return aligned(examples(text, spans), "text", "spans", letters=letters)["spans"][0]


def test_spans_of_whole_tokens_stay(capsys: pytest.CaptureFixture[str]) -> None:
    spans = ((0, 3, "per"), (12, 16, "loc"))
    assert moved("Ann flew to Oslo.", spans) == spans
    assert moved(" Ann ", ((0, 5, "per"),)) == ((1, 4, "per"),)
    assert capsys.readouterr().err == ""


def test_a_span_that_cuts_a_token_is_widened_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert moved("the Berliners came", ((4, 10, "loc"),)) == ((4, 13, "loc"),)
    said = capsys.readouterr().err
    assert "data: 1 spans begin or end within a word (the first at data row 1)" in said
    assert "tokens=letters" in said


def test_with_letters_as_tokens_nothing_is_widened(capsys: pytest.CaptureFixture[str]) -> None:
    assert moved("서울에서 만나", ((0, 2, "loc"),), letters=True) == ((0, 2, "loc"),)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "spans", "words"),
    [
        ("Ann", ((0, 4, "per"),), ["ends behind the text", "3 characters", "UTF-16"]),
        ("Ann  ", ((3, 5, "per"),), ["nothing but space"]),
        ("Berlin", ((0, 3, "a"), (3, 6, "b")), ["[0, 3, 'a']", "[3, 6, 'b']", "one word"]),
        ("Ann flew", Tags(("B-per",)), ["1 tags for 2 words"]),
    ],
)
def test_what_cannot_be_aligned_is_refused(text: str, spans: Any, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        moved(text, spans)
    line = str(error.value)
    assert line.startswith("data row 1")
    assert [word for word in words if word not in line] == [], line


def test_tags_count_the_tokens_that_were_given() -> None:
    tags = Tags(("B-per", "I-per", "O", "B-loc"))
    assert moved("Ann  Lee in Oslo", tags) == ((0, 8, "per"), (12, 16, "loc"))
    words = Words(("Ann", "O'Hara", "in", "New York"))
    assert moved(words, tags) == ((0, 10, "per"), (14, 22, "loc"))


def test_spans_counted_in_tokens() -> None:
    rows = list(token_spans(["Ann O'Hara ran", ""], [((0, 10, "per"),), ()], letters=False))
    assert rows == [(["ann", "o", "'", "hara", "ran"], [(0, 3, "per")]), ([], [])]
    assert list(token_spans(["Ann"], None, letters=False)) == [(["ann"], [])]
