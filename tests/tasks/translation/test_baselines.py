"""Naive translations."""

from __future__ import annotations

from apps.data import Examples
from apps.tasks.translation.baselines import Copy, WordDictionary

PAIRS = [
    ("the dog runs", "der Hund läuft"),
    ("the cat runs", "die Katze läuft"),
    ("the dog sleeps", "der Hund schläft"),
    ("a cat sleeps", "eine Katze schläft"),
]


def examples() -> Examples:
    columns = {"source": [one for one, _ in PAIRS], "target": [other for _, other in PAIRS]}
    return Examples(columns, [str(n) for n in range(len(PAIRS))], "pairs")


def test_a_copy_is_the_source() -> None:
    assert Copy("source").predict(examples()).tolist() == [one for one, _ in PAIRS]


def test_words_are_translated_one_by_one_and_unknown_ones_copied() -> None:
    fitted = WordDictionary("source", "target", 0)
    fitted.fit(examples())
    again = WordDictionary("source", "target", 0)
    again.restore(fitted.state())
    asked = Examples({"source": ["cat runs", "Anna sleeps", ""]}, ["1", "2", "3"], "asked")
    assert again.predict(asked).tolist() == ["Katze läuft", "Anna schläft", ""]
