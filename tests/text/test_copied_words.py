"""Pairs in which an unknown word stands on both sides."""

from __future__ import annotations

from apps.data import Examples
from apps.text.copied_words import STRANGER, with_copied_words


def pairs(rows: list[tuple[str, str]]) -> Examples:
    columns = {"source": [one for one, _ in rows], "target": [other for _, other in rows]}
    return Examples(columns, [f"row {n}" for n in range(len(rows))], "pairs")


def test_a_word_of_both_sides_becomes_unknown_in_some_pairs_more() -> None:
    given = pairs([("Anna runs", "Anna läuft"), ("a dog", "ein Hund")] * 10)
    found = with_copied_words(given, ("source", "target"), 0.25, 0)
    assert found["source"][:20] == given["source"]
    assert found["source"][20:] == [f"{STRANGER} runs"] * 5
    assert found["target"][20:] == [f"{STRANGER} läuft"] * 5
    assert len(found) == 25


def test_where_no_word_is_shared_it_stands_at_the_end() -> None:
    found = with_copied_words(pairs([("a dog", "ein Hund")] * 4), ("source", "target"), 0.5, 0)
    assert found["source"][4:] == [f"a dog {STRANGER}"] * 2
    assert found["target"][4:] == [f"ein Hund {STRANGER}"] * 2
