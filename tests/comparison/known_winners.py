"""Tables of which it is known what ought to win: `python -m tests.comparison.known_winners DIR`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

_WORDS = np.array([f"word{number}" for number in range(60)])
_GOOD, _BAD, _MARKS = ("fine", "glad"), ("poor", "dull"), ("red", "blue", "green", "grey")
Rows = Iterator[tuple[object, object]]


def single_words(random: np.random.Generator, rows: int = 2000) -> Rows:
    """Texts whose label one word decides; one label of ten is wrong. A linear model is enough."""
    for _ in range(rows):
        words = random.choice(_WORDS, 20)
        good = random.random() < 0.5
        words[random.integers(20)] = random.choice(_GOOD if good else _BAD)
        yield " ".join(words), "yes" if good != (random.random() < 0.1) else "no"


def toggles(random: np.random.Generator, rows: int = 2400) -> Rows:
    """Texts whose label says whether `flip` stands there an odd number of times."""
    for _ in range(rows):
        words = random.choice(_WORDS[:4], random.integers(1, 11))
        flips = random.random(len(words)) < 0.5
        words[flips] = "flip"
        yield " ".join(words), "odd" if flips.sum() % 2 else "even"


def far_apart(random: np.random.Generator, rows: int = 4000) -> Rows:
    """Texts whose label is whether a mark at the beginning and one near the end are the same."""
    for _ in range(rows):
        words = random.choice(_WORDS, 120)
        first, other = random.choice(_MARKS, 2, replace=False)
        same = random.random() < 0.5
        words[random.integers(5)], words[-1 - random.integers(5)] = first, first if same else other
        yield " ".join(words), "same" if same else "other"


def noise(random: np.random.Generator, rows: int = 1500) -> Rows:
    """Texts whose label is a coin's: nothing is better than the majority."""
    for _ in range(rows):
        yield " ".join(random.choice(_WORDS, 20)), random.choice(("yes", "no"))


def seasons(random: np.random.Generator, rows: int = 3000) -> Rows:
    """An hourly series of two sines and noise: a linear map of the last days is enough."""
    hours = np.arange(rows)
    wave = 10 + 3 * np.sin(2 * np.pi * hours / 24) + np.sin(2 * np.pi * hours / 12 + 1)
    stamps = np.datetime64("2020-01-01T00:00:00") + hours.astype("timedelta64[h]")
    yield from zip(stamps, (wave + 0.5 * random.standard_normal(rows)).round(3), strict=True)


DATA: tuple[Callable[[np.random.Generator], Rows], ...] = (
    single_words,
    toggles,
    far_apart,
    noise,
    seasons,
)


def main(folder: str) -> None:
    """Write each as a table."""
    for rows in DATA:
        file = Path(folder) / f"{rows.__name__}.csv"
        header = ("date", "value") if rows is seasons else ("text", "label")
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([header, *rows(np.random.default_rng(0))])


if __name__ == "__main__":
    main(sys.argv[1])
