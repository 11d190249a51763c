"""People made up by a synthesiser who say the keywords, where those who were recorded are few."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from apps import environment
from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.errors import UserError, nearest
from apps.sampling import rows_within
from apps.speech.phonemes import PHONEMES, PRONUNCIATIONS, Pronunciations
from apps.speech.synthesis import RATE, Speaker, coloured_noise, spoken
from apps.speech.template_baseline import TemplateBaseline
from apps.speech.word_classes import SILENCE, UNKNOWN

# Of so many recordings, there are people enough among those who speak.
_ENOUGH, _MOST = 10_000, 3_000
_DIGITS = "zero one two three four five six seven eight nine".split()
_LEVELS = (0.01, 0.1)
# Background noise is so many decibels lower than in the built-in sample: the recordings of users
# get noise in training anyway.
_QUIETER = 10.0
# Recordings that are compared with what the voices say, and how often these say each label.
_COMPARED, _TEMPLATES = 300, 20
# Of ten English digits, by people who were recorded, templates of voices know 0.38 to 0.56; of
# those of seven other languages, by another synthesiser, 0.08 to 0.34.
_ALIKE = 0.29


def read_pronunciations(file: str) -> Pronunciations:
    """The pronunciations in a file, and those that are built in.

    Args:
        file: the format of the CMU Pronouncing Dictionary: a word and its sounds in ARPAbet on a
            line, such as `LUMOS  L UW1 M OW0 S`; lines that begin with `;;;` are comments.

    Raises:
        UserError: the file cannot be read, or a line holds no word and sounds.
    """
    path, found = Path(file), dict(PRONUNCIATIONS)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}; give a file of words") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    for number, line in enumerate(lines, 1):
        word, *sounds = line.partition(" #")[0].split() or [";;;"]
        if word.startswith(";;;"):
            continue
        # The dictionary marks stress by digits, and further ways to say a word by `(2)`.
        plain = [sound.rstrip("012") for sound in sounds]
        wrong = next((sound for sound in plain if sound not in PHONEMES), None)
        if not sounds or wrong:
            what = f"'{wrong}' is no sound{nearest(wrong, PHONEMES)}" if wrong else "no sounds"
            raise UserError(f"{file} line {number}: {what}; give a word and ARPAbet sounds")
        if not re.fullmatch(r".+\(\d+\)", word):
            found[word.casefold()] = tuple(plain)
    return found


def words_of(label: str) -> list[str]:
    """The words that a label stands for: `turn_left` for two, `7` for one."""
    parts = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d", label.casefold())
    return [_DIGITS[int(part)] if part.isdecimal() else part for part in parts]


def with_voices(
    examples: Examples, share: float, pronunciations: str | None, seed: int
) -> Examples:
    """The examples, followed by rows in which voices say the keywords.

    They are left out where they would mislead: where a label has no pronunciation, or where the
    recordings do not sound like the English words that are written in their labels.

    Args:
        examples: with the columns `audio` and `label`.
        share: rows to make, as a share of the given ones; at most 3,000.
        pronunciations: a file with more of them.
        seed: seeds voices and noise. Each row is as long as one of the given rows, so that batches
            of similar length hold both.
    """
    known = PRONUNCIATIONS if pronunciations is None else read_pronunciations(pronunciations)
    counts = Counter(examples["label"])
    keywords = [label for label in sorted(counts) if label not in (SILENCE, UNKNOWN)]
    count = min(round(share * len(examples)), _MOST)
    if not count or len(examples) > _ENOUGH or len(keywords) < 2:
        return examples
    unsaid = [label for label in keywords if not _sayable(label, known)]
    if unsaid:
        environment.say(
            f"voices: none, since there is no pronunciation of '{unsaid[0]}'"
            f"{f' and {len(unsaid) - 1} others' if unsaid[1:] else ''}; to have the words said by "
            "synthesised people too, set pronunciations=FILE, a word and its ARPAbet sounds a line"
        )
        return examples
    said = {label: [words_of(label)] for label in keywords}
    if UNKNOWN in counts:
        taken = {word for words in said.values() for word in words[0]}
        said[UNKNOWN] = [[word] for word in sorted(set(PRONUNCIATIONS) - taken)]
    voices = _Voices(said, known, seed)
    alike = _alike(examples, keywords, voices, seed)
    if alike < _ALIKE:
        environment.say(
            f"voices: none, since the recordings do not sound like '{keywords[0]}', "
            f"'{keywords[1]}' and so on in English ({alike:.2f}, needed {_ALIKE})"
        )
        return examples
    environment.say(
        f"voices: {count} rows by {-(-count // len(said))} synthesised people are added to learn "
        f"from; voices=0 leaves them out"
    )
    draw = np.random.default_rng([seed, 5])
    like = draw.integers(len(examples), size=count)
    made = [voices.row(row, examples["audio"][one].seconds) for row, one in enumerate(like)]
    # What other columns hold is not read in training.
    columns = {
        name: [*values, *(values[one] for one in like)] for name, values in examples.columns.items()
    }
    columns["audio"] = [*examples["audio"], *(clip for clip, _ in made)]
    columns["label"] = [*examples["label"], *(label for _, label in made)]
    places = [*examples.places, *(f"voice {row + 1}" for row in range(count))]
    return Examples(columns, places, examples.source)


def _sayable(label: str, known: Pronunciations) -> bool:
    words = words_of(label)
    # Letters of a script that has no words here are nothing to say.
    letters = sum(map(str.isalnum, label))
    return bool(words) and letters > 0 and all(word in known for word in words)


class _Voices:
    """A new person for each round of the labels, in surroundings of their own."""

    def __init__(
        self, said: Mapping[str, Sequence[Sequence[str]]], known: Pronunciations, seed: int
    ) -> None:
        self._said, self._known, self._seed = said, known, seed
        self.labels = list(said)

    def row(self, row: int, seconds: float = 0.0) -> tuple[Clip, str]:
        """A clip of so many seconds, or of as many as it takes to say a label, and that label."""
        label = self.labels[row % len(self.labels)]
        person, draw = row // len(self.labels), np.random.default_rng([self._seed, 7, row])
        speaker = Speaker.drawn(np.random.default_rng([self._seed, 6, person]))
        words = self._said[label][int(draw.integers(len(self._said[label])))]
        wave = spoken(words, speaker, draw, self._known)
        spare = max(0, round(seconds * RATE) - len(wave))
        before = int(draw.integers(spare + 1))
        wave = np.pad(wave, (before, spare - before))
        decibels = speaker.noise + _QUIETER + draw.normal(0, 3)
        wave += coloured_noise(len(wave), speaker.colour, draw) * 10 ** (-decibels / 20)
        level = np.exp(draw.uniform(*np.log(_LEVELS)))
        return Clip.of(wave * min(level, 0.9 / np.abs(wave).max()), RATE), label


def _alike(examples: Examples, keywords: Sequence[str], voices: _Voices, seed: int) -> float:
    """How much more often than by chance a template of voices knows a recording, 1 for always."""
    places = [row for row, label in enumerate(examples["label"]) if label in set(keywords)]
    chosen = rows_within(np.ones(len(places), np.int64), _COMPARED, seed)
    recorded = examples.select([places[row] for row in chosen])
    made = map(voices.row, range(_TEMPLATES * len(voices.labels)))
    said = [(clip, label) for clip, label in made if label in keywords]
    clips, labels = [clip for clip, _ in said], [label for _, label in said]
    taught = Examples({"audio": clips, "label": labels}, ["voice"] * len(said), "voices")
    rate = min(recorded["audio"][0].rate, RATE)
    baseline = TemplateBaseline(keywords, rate, seed, most=_TEMPLATES)
    baseline.fit(taught)
    answers = [keywords[side] for side in baseline.predict(recorded).argmax(1)]
    right = np.mean([a == b for a, b in zip(answers, recorded["label"], strict=True)])
    chance = max(Counter(recorded["label"]).values()) / len(recorded)
    return float((right - chance) / (1 - chance)) if chance < 1 else 0.0
