"""People made up by a synthesiser who say the keywords, where those who were recorded are few."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from apps import environment
from apps.data import Examples
from apps.data.kept import kept
from apps.data.recordings.clip import Clip
from apps.sampling import rows_within
from apps.speech.espeak import Utterance, accents, said, variants
from apps.speech.phonemes import PRONUNCIATIONS
from apps.speech.synthesis import coloured_noise
from apps.speech.template_baseline import TemplateBaseline
from apps.speech.word_classes import SILENCE, UNKNOWN

# Of so many recordings, there are people enough among those who speak.
_ENOUGH, _MOST = 10_000, 3_000
_SPEEDS, _PITCHES, _MELODIES = (110, 220), (10, 90), (20, 80)
# Root mean square as a share of full scale, decibels of noise below it, decibels an octave.
_LEVELS, _NOISE, _COLOURS = (0.01, 0.2), (25.0, 50.0), (-6.0, 1.0)
# What is this much softer than the loudest sample, before the first and behind the last word.
_SOFT, _LEAD, _TAIL = 0.01, 0.02, 0.04
# Recordings that are compared with what the voices say, and how often these say each label.
_COMPARED, _TEMPLATES = 300, 20
_ALIKE = 0.25
_ENGLISH = "en"


def with_voices(examples: Examples, share: float, language: str, seed: int) -> Examples:
    """The examples, followed by rows in which synthesised people say the keywords.

    Lin et al. 2020, "Training keyword spotters with limited and synthesized speech data". They are
    left out where they would mislead: where the recordings do not sound like the words that are
    written in their labels, which may be those of another language, or no words.

    Args:
        examples: with the columns `audio` and `label`.
        share: rows to make, as a share of the given ones; at most 3,000.
        language: of the labels, a code such as `en`.
        seed: seeds voices and noise. Each row is as long as one of the given rows, so that batches
            of similar length hold both.

    Raises:
        UserError: the synthesiser does not have the language.
    """
    counts = Counter(examples["label"])
    keywords = [label for label in sorted(counts) if label not in (SILENCE, UNKNOWN)]
    count = min(round(share * len(examples)), _MOST)
    if not count or len(examples) > _ENOUGH or len(keywords) < 2:
        return examples
    texts = {label: [_read(label)] for label in keywords}
    if mute := next((label for label in keywords if not texts[label][0]), None):
        environment.say(f"voices: none, since '{mute}' is nothing to say")
        return examples
    if UNKNOWN in counts and language == _ENGLISH:
        taken = {word for text in texts.values() for word in text[0].casefold().split()}
        texts[UNKNOWN] = sorted(set(PRONUNCIATIONS) - taken)
    try:
        voices = _Voices(texts, max(count, _TEMPLATES * len(texts)), language, seed)
    except OSError as error:
        environment.say(f"voices: none, since eSpeak NG failed ({error})")
        return examples
    alike = _alike(examples, keywords, voices, seed)
    if alike < _ALIKE:
        environment.say(
            f"voices: none, since the recordings do not sound like '{keywords[0]}', "
            f"'{keywords[1]}' and so on in language={language} ({alike:.2f}, needed {_ALIKE})"
        )
        return examples
    environment.say(
        f"voices: {count} rows by {-(-count // len(texts))} synthesised people are added to learn "
        f"from (language={language}, alike {alike:.2f}); voices=0 leaves them out"
    )
    like = np.random.default_rng([seed, 5]).integers(len(examples), size=count)
    made = [voices.clip(row, examples["audio"][one].seconds) for row, one in enumerate(like)]
    # What other columns hold is not read in training.
    columns = {
        name: [*values, *(values[one] for one in like)] for name, values in examples.columns.items()
    }
    columns["audio"] = [*examples["audio"], *made]
    columns["label"] = [*examples["label"], *(voices.label(row) for row in range(count))]
    places = [*examples.places, *(f"voice {row + 1}" for row in range(count))]
    return Examples(columns, places, examples.source)


def _read(label: str) -> str:
    """What a label says: `turn_left` is two words; nothing where there is no letter or digit."""
    words = re.sub(r"[^\w'’]|_", " ", label).strip()
    return words if any(map(str.isalnum, words)) else ""


class _Voices:
    """A new person for each round of the labels, in surroundings of their own.

    Args:
        texts: what may be said for each label.
        rows: how many clips there can be.
        language: whose accents the people have.
        seed: seeds people and surroundings.

    Raises:
        OSError: the synthesiser failed.
    """

    def __init__(
        self, texts: Mapping[str, Sequence[str]], rows: int, language: str, seed: int
    ) -> None:
        self.labels, self._seed = list(texts), seed
        draw = np.random.default_rng([seed, 6])
        spoken, manners = accents(language), variants()
        utterances = []
        for row in range(rows):
            if row % len(texts) == 0:
                voice = f"{draw.choice(spoken)}+{draw.choice(manners)}"
                manner = [int(draw.integers(*span)) for span in (_SPEEDS, _PITCHES, _MELODIES)]
            text = str(draw.choice(texts[self.label(row)]))
            utterances.append(Utterance(text, voice, *manner))
        found = kept(lambda: said(utterances), "voices", utterances)
        self._samples, self._offsets = found["samples"], found["offsets"]
        self.rate = int(found["rate"])

    def label(self, row: int) -> str:
        """What is said in a row."""
        return self.labels[row % len(self.labels)]

    def clip(self, row: int, seconds: float = 0.0) -> Clip:
        """A row of so many seconds, or of as many as it takes to say it."""
        draw = np.random.default_rng([self._seed, 7, row])
        wave = self._samples[self._offsets[row] : self._offsets[row + 1]].astype(np.float64)
        loud = np.flatnonzero(np.abs(wave) > _SOFT * np.abs(wave).max(initial=0.0))
        if len(loud):
            begin = max(0, loud[0] - round(_LEAD * self.rate))
            wave = wave[begin : loud[-1] + round(_TAIL * self.rate)]
            wave /= np.sqrt(np.mean(wave**2))
        spare = max(1, round(seconds * self.rate) - len(wave))
        before = int(draw.integers(spare))
        wave = np.pad(wave, (before, spare - before))
        noise = coloured_noise(len(wave), draw.uniform(*_COLOURS), draw)
        wave += noise * 10 ** (-draw.uniform(*_NOISE) / 20)
        level = np.exp(draw.uniform(*np.log(_LEVELS)))
        return Clip.of(wave * min(level, 0.9 / np.abs(wave).max()), self.rate)


def _alike(examples: Examples, keywords: Sequence[str], voices: _Voices, seed: int) -> float:
    """How much more often than by chance a template of voices knows a recording, 1 for always."""
    places = [row for row, label in enumerate(examples["label"]) if label in set(keywords)]
    chosen = rows_within(np.ones(len(places), np.int64), _COMPARED, seed)
    recorded = examples.select([places[row] for row in chosen])
    rows = [
        row for row in range(_TEMPLATES * len(voices.labels)) if voices.label(row) in set(keywords)
    ]
    clips, labels = [voices.clip(row) for row in rows], [voices.label(row) for row in rows]
    taught = Examples({"audio": clips, "label": labels}, ["voice"] * len(rows), "voices")
    rate = min(recorded["audio"][0].rate, voices.rate)
    baseline = TemplateBaseline(keywords, rate, seed, most=_TEMPLATES)
    baseline.fit(taught)
    answers = [keywords[side] for side in baseline.predict(recorded).argmax(1)]
    right = np.mean([a == b for a, b in zip(answers, recorded["label"], strict=True)])
    chance = max(Counter(recorded["label"]).values()) / len(recorded)
    return float((right - chance) / (1 - chance)) if chance < 1 else 0.0
