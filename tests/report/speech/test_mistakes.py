"""Mistakes per row and their rates."""

from __future__ import annotations

from typing import Any

import pytest

from apps.report.speech.mistakes import error_rate, instructive, judge, worst


def keyword(truth: str, label: str, given_truth: float) -> dict[str, Any]:
    probabilities = {label: 1 - given_truth, truth: given_truth}
    return {"truth": truth, "label": label, "probabilities": probabilities}


def transcript(truth: str, text: str, **others: Any) -> dict[str, Any]:
    return {"truth": truth, "text": text, **others}


def test_a_transcript_is_judged_by_its_words() -> None:
    (one,) = judge([transcript("the cat sat down", "the bat sat down there")])
    assert (one.errors, one.units, one.rate) == (2, 4, 0.5)
    assert [tuple(edit) for edit in one.edits] == [
        ("hit", "the", "the"),
        ("substitution", "cat", "bat"),
        ("hit", "sat", "sat"),
        ("hit", "down", "down"),
        ("insertion", "", "there"),
    ]


def test_a_keyword_is_right_or_wrong() -> None:
    right, wrong = judge([keyword("yes", "yes", 0.9), keyword("yes", "no", 0.2)])
    assert (right.errors, right.units, right.assurance) == (0, 1, 0.9)
    assert (wrong.errors, wrong.units, wrong.assurance) == (1, 1, 0.2)


def test_the_worst_come_first() -> None:
    rows = [
        transcript("a b c", "a b c", confidence=0.9),
        transcript("a b", "a x"),
        transcript("a b c", "x y c"),
        transcript("a b c", "a b c", confidence=0.4),
        transcript("a b c d", "a b c x"),
        transcript("a b c", "a b c"),
    ]
    assert worst(judge(rows)) == [2, 1, 4, 3, 0, 5]
    assert worst(judge(rows), 2) == [2, 1]
    sure = [keyword("yes", "no", p) for p in (0.4, 0.1, 0.3)] + [keyword("yes", "yes", 0.05)]
    assert worst(judge(sure)) == [1, 2, 0, 3]


def test_instructive_rows_are_right_ones_of_different_truths_and_wrong_ones() -> None:
    rows = [keyword("a", "a", 1.0), keyword("a", "a", 1.0), keyword("b", "b", 1.0)]
    assert instructive(judge(rows)) == [0, 2]
    rows += [keyword("c", "a", p) for p in (0.3, 0.2, 0.1, 0.05)]
    assert instructive(judge(rows)) == [0, 2, 3, 6, 5, 4]
    assert instructive([]) == []


def test_the_interval_of_keywords_is_wilsons() -> None:
    rate = error_rate(judge([keyword("a", "b", 0.1)] * 10 + [keyword("a", "a", 0.9)] * 90))
    assert rate.value == 0.1
    # Brown, Cai & DasGupta 2001, formula (4), by hand for 10 of 100.
    assert rate.interval == pytest.approx((0.0552, 0.1744), abs=1e-4)


def test_the_interval_of_transcripts_resamples_utterances() -> None:
    alike = judge([transcript("a b c d", "a b c x")] * 20)
    assert error_rate(alike).interval == (0.25, 0.25), "every resample has the same rate"
    mixed = judge([transcript("a b", "x y"), transcript("a b", "a b")] * 50)
    low, high = error_rate(mixed).interval or (1.0, 0.0)
    # A mean of 100 rates that are 0 or 1 with equal chance: 0.5 ± 1.96 × 0.05.
    assert (low, high) == pytest.approx((0.402, 0.598), abs=0.02)
    assert error_rate(mixed).interval == (low, high)


def test_rates_that_cannot_be_told() -> None:
    assert error_rate(judge([transcript("a b", "a x")] * 4)).interval is None
    low, high = error_rate(judge([transcript("a b", "a b")] * 4)).interval or (1.0, 0.0)
    assert low == 0.0
    assert 0.3 < high < 0.35, "no error in 8 words"
    nothing = error_rate(judge([transcript("", "a b")]))
    assert (nothing.errors, nothing.units, nothing.interval) == (2, 0, None)
    assert nothing.value != nothing.value
