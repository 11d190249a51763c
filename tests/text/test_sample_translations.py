"""The sample: numbers, dates and times in two languages."""

from __future__ import annotations

import pytest

from apps.text import sample_translations as made


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (0, "zero", "null"),
        (17, "seventeen", "siebzehn"),
        (21, "twenty-one", "einundzwanzig"),
        (101, "one hundred and one", "einhunderteins"),
        (1960, "one thousand nine hundred and sixty", "eintausendneunhundertsechzig"),
        (
            21_305,
            "twenty-one thousand three hundred and five",
            "einundzwanzigtausenddreihundertfünf",
        ),
    ],
)
def test_numbers(number: int, english: str, german: str) -> None:
    assert made.english(number) == english
    assert made.german(number) == german


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        (1, "first", "erste"),
        (7, "seventh", "siebte"),
        (20, "twentieth", "zwanzigste"),
        (31, "thirty-first", "einunddreißigste"),
    ],
)
def test_ordinals(number: int, english: str, german: str) -> None:
    assert made.english_ordinal(number) == english
    assert made.german_ordinal(number) == german


@pytest.mark.parametrize(
    ("hour", "minute", "english", "german"),
    [
        (6, 30, "half past six in the morning", "halb sieben morgens"),
        (12, 30, "half past twelve in the afternoon", "halb eins nachmittags"),
        (23, 45, "a quarter to twelve in the evening", "Viertel vor zwölf abends"),
        (13, 0, "one o'clock in the afternoon", "ein Uhr nachmittags"),
        (0, 58, "two minutes to one at night", "zwei Minuten vor eins nachts"),
    ],
)
def test_clock_times(hour: int, minute: int, english: str, german: str) -> None:
    assert made.english_clock(hour, minute) == english
    assert made.german_clock(hour, minute) == german


def test_a_seed_gives_the_same_pairs_and_a_source_one_target() -> None:
    one, same = made.sample_translations(3), made.sample_translations(3)
    assert one.columns == same.columns
    targets: dict[str, set[str]] = {}
    for source, target in zip(one["source"], one["target"], strict=True):
        targets.setdefault(source, set()).add(target)
    assert all(len(found) == 1 for found in targets.values())
    assert len(targets) > 7000
