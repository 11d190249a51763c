"""Error rates against jiwer, and alignments."""

from __future__ import annotations

import random

import jiwer
import pytest

from apps.report.speech.error_rates import (
    Errors,
    alignment,
    character_errors,
    rates,
    total,
    word_errors,
)

WORDS = "one two three four five".split()


def pairs(count: int) -> list[tuple[str, str]]:
    """References and hypotheses that differ a little, a lot, or not at all; none is empty."""
    draw = random.Random(0)
    made = []
    for _ in range(count):
        reference = draw.choices(WORDS, k=draw.randint(1, 8))
        hypothesis = [word for word in reference if draw.random() < 0.8]
        hypothesis = [word if draw.random() < 0.8 else draw.choice(WORDS) for word in hypothesis]
        place = draw.randint(0, len(hypothesis))
        hypothesis[place:place] = draw.choices(WORDS, k=draw.randint(0, 2))
        hypothesis = hypothesis or ["six"]
        made.append((" ".join(reference), " ".join(hypothesis)))
    return made


def test_counts_and_rates_are_those_of_jiwer() -> None:
    made = pairs(200)
    for reference, hypothesis in made:
        words = jiwer.process_words(reference, hypothesis)
        assert word_errors(reference, hypothesis) == Errors(
            words.hits, words.substitutions, words.deletions, words.insertions
        )
        characters = jiwer.process_characters(reference, hypothesis)
        assert character_errors(reference, hypothesis) == Errors(
            characters.hits,
            characters.substitutions,
            characters.deletions,
            characters.insertions,
        )
    references, hypotheses = map(list, zip(*made, strict=True))
    found = rates(made)
    together = jiwer.process_words(references, hypotheses)
    spoken = together.hits + together.substitutions + together.deletions
    assert found["wer"] == pytest.approx(together.wer)
    assert found["cer"] == pytest.approx(jiwer.cer(references, hypotheses))
    assert found["substitutions"] == pytest.approx(together.substitutions / spoken)
    assert found["deletions"] == pytest.approx(together.deletions / spoken)
    assert found["insertions"] == pytest.approx(together.insertions / spoken)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("", "", Errors()),
        ("", "two words", Errors(insertions=2)),
        ("two words", "  ", Errors(deletions=2)),
        ("a  b\n", " a b", Errors(hits=2)),
        ("e\u0301", "é", Errors(hits=1)),
        ("Yes", "yes", Errors(substitutions=1)),
    ],
)
def test_words_at_the_edge(reference: str, hypothesis: str, errors: Errors) -> None:
    assert word_errors(reference, hypothesis) == errors


def test_empty_references_divide_by_nothing() -> None:
    assert rates([("", "one two")])["wer"] == 2 == jiwer.process_words("", "one two").wer
    assert rates([("", "")])["cer"] == 0
    assert rates([("", "one"), ("a b", "a b")])["wer"] == 0.5
    assert rates([])["wer"] == 0


def test_totals_add_up() -> None:
    errors = total([Errors(3, 1, 0, 2), Errors(1, 0, 2, 0)])
    assert errors == Errors(4, 1, 2, 2)
    assert (errors.reference, errors.wrong) == (7, 5)
    assert errors.rate == pytest.approx(5 / 7)


def test_alignments_give_back_both_texts_and_the_counts() -> None:
    for reference, hypothesis in [*pairs(50), ("", "a"), ("a b", "")]:
        columns = alignment(reference, hypothesis)
        assert [truth for _, truth, _ in columns if truth] == reference.split()
        assert [answer for _, _, answer in columns if answer] == hypothesis.split()
        assert all((kind == "hit") == (truth == answer) for kind, truth, answer in columns)
        kinds = [kind for kind, _, _ in columns]
        assert word_errors(reference, hypothesis) == Errors(
            *map(kinds.count, ("hit", "substitution", "deletion", "insertion"))
        )
    assert alignment("one two four", "one too four five") == [
        ("hit", "one", "one"),
        ("substitution", "two", "too"),
        ("hit", "four", "four"),
        ("insertion", "", "five"),
    ]
