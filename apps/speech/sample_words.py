"""The built-in samples of speech: synthetic words and sentences by synthetic speakers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.speech.phonemes import PRONUNCIATIONS
from apps.speech.synthesis import RATE, Speaker, coloured_noise, spoken

KEYWORDS = ("yes", "no", "stop", "go", "left", "right", "up", "down", "on", "off")
UNKNOWN = "unknown"
SILENCE = "silence"

_OTHERS = tuple(word for word in PRONUNCIATIONS if word not in KEYWORDS)

_GRAMMAR = {
    "SENTENCE": (
        "DIGIT DIGIT",
        "DIGIT DIGIT DIGIT",
        "DIGIT DIGIT DIGIT DIGIT",
        "ORDER",
        "ORDER DIGIT",
        "ANSWER ORDER",
        "go WAY and stop",
    ),
    "ORDER": ("go WAY", "turn WAY", "turn the light STATE", "light STATE"),
    "ANSWER": ("yes", "no"),
    "WAY": ("left", "right", "up", "down"),
    "STATE": ("on", "off"),
    "DIGIT": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}


@lru_cache(maxsize=2)
def sample_words(seed: int, rows: int = 600, speakers: int = 16) -> Examples:
    """Single words, with the classes that keyword spotting has besides its keywords.

    Ten keywords, `unknown` (any of some twenty other words) and `silence` (noise of several colours
    and levels, now and then with a hum or a click) are equally frequent in every stretch of rows.

    Args:
        seed: the same seed gives the same clips; another seed has other speakers.
        rows: how many.
        speakers: how many.

    Returns:
        Examples with the columns `audio`, `label`, `speaker` and `group`, which is the speaker.
    """
    voices = _Voices(seed, speakers)
    classes = (*KEYWORDS, UNKNOWN, SILENCE)
    labels = _dealt(rows, classes, np.random.default_rng([seed, 0]))
    others = np.random.default_rng([seed, 4])
    clips = []
    for row, label in enumerate(labels):
        if label == SILENCE:
            clips.append(voices.silence(row))
        else:
            said = str(others.choice(_OTHERS)) if label == UNKNOWN else label
            clips.append(voices.clip(row, [said]))
    return _examples({"audio": clips, "label": labels}, voices.names(rows))


@lru_cache(maxsize=2)
def sample_sentences(seed: int, rows: int = 400, speakers: int = 20) -> Examples:
    """Sentences of two to five words, digits and commands, drawn from a small grammar.

    Args:
        seed: the same seed gives the same clips; another seed has other speakers.
        rows: how many.
        speakers: how many.

    Returns:
        Examples with the columns `audio`, `transcript`, `speaker` and `group`, which is the
        speaker.
    """
    voices = _Voices(seed, speakers)
    draw = np.random.default_rng([seed, 0])
    sentences = [_expanded("SENTENCE", draw) for _ in range(rows)]
    clips = [voices.clip(row, sentence) for row, sentence in enumerate(sentences)]
    transcripts = [" ".join(sentence) for sentence in sentences]
    return _examples({"audio": clips, "transcript": transcripts}, voices.names(rows))


def _examples(columns: dict[str, list], speakers: list[str]) -> Examples:
    places = [f"sample row {row}" for row in range(1, len(speakers) + 1)]
    columns = {**columns, "speaker": speakers, "group": speakers}
    # The cache gives every caller the same object, so nobody may change it.
    return Examples({name: tuple(rows) for name, rows in columns.items()}, places, "sample")


def _dealt(rows: int, classes: tuple[str, ...], draw: np.random.Generator) -> list[str]:
    """Labels dealt like cards: every class once before any comes again."""
    dealt: list[str] = []
    while len(dealt) < rows:
        dealt += draw.permutation(classes).tolist()
    return dealt[:rows]


def _expanded(symbol: str, draw: np.random.Generator) -> list[str]:
    if symbol not in _GRAMMAR:
        return [symbol]
    chosen = str(draw.choice(_GRAMMAR[symbol])).split()
    return [word for part in chosen for word in _expanded(part, draw)]


class _Voices:
    """The speakers of one sample, each in their own surroundings, who take turns row by row."""

    def __init__(self, seed: int, speakers: int) -> None:
        self._seed = seed
        self._speakers = [
            Speaker.drawn(np.random.default_rng([seed, 1, i])) for i in range(speakers)
        ]

    def names(self, rows: int) -> list[str]:
        count = len(self._speakers)
        return [f"speaker {self._seed}-{1 + row % count}" for row in range(rows)]

    def clip(self, row: int, words: list[str]) -> Clip:
        """The words with noise around them, at some distance from the microphone."""
        speaker = self._speakers[row % len(self._speakers)]
        draw = np.random.default_rng([self._seed, 2, row])
        speech = spoken(words, speaker, draw)
        before, after = (RATE * draw.uniform(0.05, 0.35, 2)).astype(int)
        wave = np.pad(speech, (before, after))
        decibels = speaker.noise + draw.normal(0, 3)
        wave += coloured_noise(len(wave), speaker.colour, draw) * 10 ** (-decibels / 20)
        return _recorded(wave, 10 ** draw.uniform(-1.9, -1.0))

    def silence(self, row: int) -> Clip:
        """Noise without speech."""
        speaker = self._speakers[row % len(self._speakers)]
        draw = np.random.default_rng([self._seed, 3, row])
        samples = int(RATE * draw.uniform(0.7, 1.3))
        wave = coloured_noise(samples, speaker.colour + draw.normal(0, 1.5), draw)
        if draw.random() < 0.3:
            mains = draw.choice([50, 60]) * np.arange(1, 6)
            seconds = np.arange(samples)[:, None] / RATE
            wave += np.sin(2 * np.pi * mains * seconds + draw.uniform(0, 6, 5)) @ draw.random(5)
        if draw.random() < 0.3:
            wave[draw.integers(samples)] += draw.uniform(10, 40)
        return _recorded(wave, 10 ** draw.uniform(-3.5, -1.5))


def _recorded(wave: np.ndarray, level: float) -> Clip:
    """A clip scaled to a share of full scale, or less where its peaks would clip."""
    scaled = wave * min(level, 0.9 / np.abs(wave).max())
    return Clip.of(scaled, RATE)
