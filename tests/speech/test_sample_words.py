"""The built-in speech: reproducible, every class early, speakers that no other seed has."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from apps.data import Examples
from apps.speech.phonemes import PRONUNCIATIONS
from apps.speech.sample_words import (
    KEYWORDS,
    SILENCE,
    UNKNOWN,
    sample_sentences,
    sample_words,
)
from apps.speech.synthesis import RATE


@pytest.fixture(scope="module")
def words() -> Examples:
    return sample_words(0, rows=120)


@pytest.fixture(scope="module")
def sentences() -> Examples:
    return sample_sentences(0, rows=60)


def test_seed_decides_the_clips(words: Examples) -> None:
    again = sample_words.__wrapped__(0, rows=24)
    for one, same in zip(words["audio"], again["audio"], strict=False):
        np.testing.assert_array_equal(one.samples, same.samples)
    assert list(again["label"]) == list(words["label"])[:24]
    other = sample_words(1, rows=24)
    assert not set(other["speaker"]) & set(words["speaker"])
    assert {clip.digest for clip in other["audio"]}.isdisjoint(
        clip.digest for clip in words["audio"]
    )


def test_first_rows_hold_every_class_and_many_speakers(words: Examples) -> None:
    counts = Counter(words["label"])
    assert set(counts) == {*KEYWORDS, UNKNOWN, SILENCE}
    assert set(counts.values()) == {10}
    assert len(set(words["speaker"])) >= 12
    assert words["group"] == words["speaker"]
    assert words.places[0] == "sample row 1"


def test_clips_are_audible_and_not_cut_off(words: Examples, sentences: Examples) -> None:
    for clip in [*words["audio"], *sentences["audio"]]:
        assert clip.rate == RATE
        assert clip.samples.dtype == np.int16
        peak = int(np.abs(clip.samples.astype(int)).max())
        assert 10 < peak < 0.95 * 32767
        assert abs(clip.samples.mean()) < 0.02 * peak


def test_words_are_louder_in_their_middle_than_silence_is(words: Examples) -> None:
    def contrast(samples: np.ndarray) -> float:
        power = samples[: len(samples) // 320 * 320].astype(float).reshape(-1, 320).var(1)
        return float(np.quantile(power, 0.9) / np.quantile(power, 0.1))

    values = {
        silent: [
            contrast(clip.samples)
            for clip, label in zip(words["audio"], words["label"], strict=True)
            if (label == SILENCE) == silent
        ]
        for silent in (True, False)
    }
    assert np.median(values[False]) > 10 * np.median(values[True])


def test_sentences_follow_the_grammar(sentences: Examples) -> None:
    counts = [len(text.split()) for text in sentences["transcript"]]
    assert min(counts) == 2
    assert max(counts) <= 5
    assert {word for text in sentences["transcript"] for word in text.split()} <= set(
        PRONUNCIATIONS
    )
    assert len(set(sentences["transcript"])) > 30
    assert len(set(sentences["speaker"])) == 20


def test_sentences_differ_in_length_with_their_words(sentences: Examples) -> None:
    seconds = np.array([clip.seconds for clip in sentences["audio"]])
    counts = [len(text.split()) for text in sentences["transcript"]]
    assert seconds.min() < 1.3
    assert seconds.max() < 4.5
    assert np.corrcoef(seconds, counts)[0, 1] > 0.5
