"""The built-in reviews: reproducible, noisy by the stated rate, not solved by single words."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from apps.text import sample_reviews as module
from apps.text.sample_reviews import LABEL_NOISE, sample_reviews


def test_seed_decides_the_reviews() -> None:
    one, same, other = (sample_reviews(seed, reviews=50) for seed in (1, 1, 2))
    assert one == same
    assert one["text"] != other["text"]
    assert len(one) == 50
    assert one.places[0] == "sample row 1"


def test_reviews_are_balanced_and_seldom_repeat() -> None:
    reviews = sample_reviews(0)
    counts = Counter(reviews["label"])
    assert set(counts) == {"positive", "negative"}
    assert min(counts.values()) > 0.47 * len(reviews)
    assert len(set(reviews["text"])) > 0.99 * len(reviews)


def test_labels_are_flipped_at_the_stated_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = sample_reviews(4)
    monkeypatch.setattr(module, "LABEL_NOISE", 0.0)
    clean = sample_reviews(4)
    assert clean["text"] == noisy["text"]
    flipped = sum(a != b for a, b in zip(clean["label"], noisy["label"], strict=True))
    deviation = (LABEL_NOISE * (1 - LABEL_NOISE) / len(clean)) ** 0.5
    assert flipped / len(clean) == pytest.approx(LABEL_NOISE, abs=4 * deviation)


def test_single_words_carry_little() -> None:
    reviews = sample_reviews(0)
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for text, label in zip(reviews["text"], reviews["label"], strict=True):
        for word in set(text.lower().replace(".", " ").replace(",", " ").split()):
            seen[word][label] += 1
    adjectives = [*module._PRAISE, *module._BLAME]
    shares = [seen[word]["positive"] / sum(seen[word].values()) for word in adjectives]
    assert all(sum(seen[word].values()) > 100 for word in adjectives)
    assert min(shares) > 0.35
    assert max(shares) < 0.65
