"""Errors of transcripts against a table of edits, and alignments."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from apps.report.speech.error_rates import alignment, character_errors, word_errors

WORDS = "one two three four five".split()
KINDS = ("hit", "substitution", "deletion", "insertion")


def pairs(count: int) -> list[tuple[str, str]]:
    """References and hypotheses that differ a little, a lot, or not at all."""
    draw = random.Random(0)
    made = []
    for _ in range(count):
        reference = draw.choices(WORDS, k=draw.randint(1, 8))
        hypothesis = [word for word in reference if draw.random() < 0.8]
        hypothesis = [word if draw.random() < 0.8 else draw.choice(WORDS) for word in hypothesis]
        place = draw.randint(0, len(hypothesis))
        hypothesis[place:place] = draw.choices(WORDS, k=draw.randint(0, 2))
        made.append((" ".join(reference), " ".join(hypothesis)))
    return made


def fewest_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Levenshtein distance, cell by cell (Wagner & Fischer 1974)."""
    above = list(range(len(hypothesis) + 1))
    for said in reference:
        row = [above[0] + 1]
        for place, heard in enumerate(hypothesis):
            row.append(min(above[place + 1] + 1, row[place] + 1, above[place] + (said != heard)))
        above = row
    return above[-1]


def test_errors_are_the_fewest_possible_and_add_up_to_both_texts() -> None:
    for reference, hypothesis in pairs(200):
        for found, said, heard in (
            (word_errors(reference, hypothesis), reference.split(), hypothesis.split()),
            (character_errors(reference, hypothesis), list(reference), list(hypothesis)),
        ):
            hits, substitutions, deletions, insertions = found
            assert substitutions + deletions + insertions == fewest_edits(said, heard)
            assert hits + substitutions + deletions == len(said)
            assert hits + substitutions + insertions == len(heard)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "words", "characters"),
    [
        ("", "", (0, 0, 0, 0), (0, 0, 0, 0)),
        ("", "two words", (0, 0, 0, 2), (0, 0, 0, 9)),
        ("two words", "  ", (0, 0, 2, 0), (0, 0, 9, 0)),
        ("a  b\n", " a b", (2, 0, 0, 0), (3, 0, 0, 0)),
        ("e\u0301", "é", (1, 0, 0, 0), (1, 0, 0, 0)),
        ("Yes", "yes", (0, 1, 0, 0), (2, 1, 0, 0)),
        ("no!", "no", (0, 1, 0, 0), (2, 0, 1, 0)),
        ("go left", "goleft", (0, 1, 1, 0), (6, 0, 1, 0)),
        ("日本 語", "日本語", (0, 1, 1, 0), (3, 0, 1, 0)),
    ],
)
def test_texts_at_the_edge(
    reference: str, hypothesis: str, words: tuple[int, ...], characters: tuple[int, ...]
) -> None:
    assert word_errors(reference, hypothesis) == words
    assert character_errors(reference, hypothesis) == characters


def test_alignments_give_back_both_texts_and_the_counts() -> None:
    for reference, hypothesis in [*pairs(50), ("", "a"), ("a b", ""), ("", "")]:
        columns = alignment(reference, hypothesis)
        assert [truth for _, truth, _ in columns if truth] == reference.split()
        assert [answer for _, _, answer in columns if answer] == hypothesis.split()
        assert all((kind == "hit") == (truth == answer) for kind, truth, answer in columns)
        kinds = [kind for kind, _, _ in columns]
        assert word_errors(reference, hypothesis) == tuple(map(kinds.count, KINDS))
    assert alignment("one two four", "one too four five") == [
        ("hit", "one", "one"),
        ("substitution", "two", "too"),
        ("hit", "four", "four"),
        ("insertion", "", "five"),
    ]
