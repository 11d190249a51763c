"""Tagging schemes: what tags mean, and back."""

from __future__ import annotations

import random

import pytest

from apps.data.tagged.schemes import SCHEMES, TokenSpan, is_tag, scheme_of, spans_of, tags_of


def sentence(draw: random.Random) -> tuple[list[TokenSpan], int]:
    """Spans side by side and apart, and the number of tokens."""
    spans, place = [], 0
    for _ in range(draw.randint(0, 5)):
        place += draw.choice((0, 0, 1, 2))
        size = draw.randint(1, 4)
        spans.append(TokenSpan(place, place + size - 1, draw.choice(("per", "loc"))))
        place += size
    return spans, place + draw.randint(0, 2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans_survive_each_scheme(scheme: str) -> None:
    draw = random.Random(1)
    for _ in range(500):
        spans, count = sentence(draw)
        tags = tags_of(spans, count, scheme)
        assert len(tags) == count
        assert all(map(is_tag, tags))
        assert spans_of(tags) == spans


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_of_some_sentences_is_found_out(scheme: str) -> None:
    draw = random.Random(2)
    rows = [tags_of(*sentence(draw), scheme) for _ in range(100)]
    assert scheme_of(rows) == (scheme, 0, 0)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O B-x I-x O", [(1, 2, "x")]),
        ("I-x I-x O I-y", [(0, 1, "x"), (3, 3, "y")]),
        ("B-x B-x I-x", [(0, 0, "x"), (1, 2, "x")]),
        ("B-x I-y I-y", [(0, 0, "x"), (1, 2, "y")]),
        ("S-x S-x B-y E-y", [(0, 0, "x"), (1, 1, "x"), (2, 3, "y")]),
        ("E-x I-x", [(0, 0, "x"), (1, 1, "x")]),
        ("B-x E-x I-x O", [(0, 1, "x"), (2, 2, "x")]),
        ("U-x B-y L-y O", [(0, 0, "x"), (1, 2, "y")]),
        ("B-x M-x E-x S-y", [(0, 2, "x"), (3, 3, "y")]),
        ("B-creative-work I-creative-work", [(0, 1, "creative-work")]),
        ("", []),
    ],
)
def test_what_tags_mean(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert spans_of(tags.split()) == spans


def test_any_tags_mean_what_seqeval_says_they_do() -> None:
    labels = pytest.importorskip("seqeval.metrics.sequence_labeling", reason="needs seqeval")
    draw = random.Random(3)
    for _ in range(3000):
        tags = [
            draw.choice(["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in "xy")])
            for _ in range(draw.randint(1, 9))
        ]
        ours = sorted((span.type, span.first, span.last) for span in spans_of(tags))
        assert ours == sorted(labels.get_entities(tags)), tags


def test_spans_that_begin_inside_are_counted() -> None:
    rows = [["B-x", "I-x"], ["O", "I-x"], ["B-x", "O", "I-y", "I-y"], ["B-y"]]
    assert scheme_of(rows) == ("IOB2", 2, 1)


@pytest.mark.parametrize("tag", ["", "o", "X-per", "B", "B-", "per", "B per", "0"])
def test_what_is_no_tag(tag: str) -> None:
    assert not is_tag(tag)
