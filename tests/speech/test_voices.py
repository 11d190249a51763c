"""Voices that say the keywords: made where they help, and left out where they would mislead."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.errors import UserError
from apps.speech.keywords import Keywords
from apps.speech.phonemes import PHONEMES, PRONUNCIATIONS, Pronunciations, segments_of
from apps.speech.sample_words import sample_words
from apps.speech.synthesis import RATE, Speaker, spoken
from apps.speech.voices import read_pronunciations, with_voices, words_of


def recordings(known: Pronunciations = PRONUNCIATIONS, **said: str) -> Examples:
    """Twelve recordings of each label, in which a word is said that may be another one."""
    clips, labels = [], []
    for row in range(12):
        for label, word in said.items():
            draw = np.random.default_rng([9, row, len(clips)])
            wave = spoken([word], Speaker.drawn(np.random.default_rng([9, row])), draw, known)
            clips.append(Clip.of(0.1 * wave / np.abs(wave).max(), RATE))
            labels.append(label)
    columns = {"audio": clips, "label": labels, "speaker": ["someone"] * len(clips)}
    return Examples(columns, [f"row {row}" for row in range(len(clips))], "recordings")


YES = recordings(yes="yes", stop="stop", nine="nine", left="left")


def test_each_keyword_is_said_by_several_people_in_clips_as_long_as_the_others() -> None:
    found = with_voices(YES, 1.0, None, seed=0)
    assert found.select(range(len(YES)))["label"] == YES["label"]
    made = found.select(range(len(YES), len(found)))
    assert Counter(made["label"]) == {"yes": 12, "stop": 12, "nine": 12, "left": 12}
    assert all(clip.rate == RATE for clip in made["audio"])
    assert max(clip.seconds for clip in made["audio"]) < 2.0
    assert len({clip.samples.tobytes() for clip in made["audio"]}) == len(made)
    again = with_voices(YES, 1.0, None, seed=0)
    np.testing.assert_array_equal(again["audio"][-1].samples, found["audio"][-1].samples)
    other = with_voices(YES, 1.0, None, seed=1)
    assert other["audio"][-1].samples.tobytes() != found["audio"][-1].samples.tobytes()


def test_other_words_and_silence() -> None:
    sample = sample_words(0, rows=240)
    found = with_voices(sample, 0.5, None, seed=0)
    made = Counter(found["label"][len(sample) :])
    assert sum(made.values()) == 120
    assert made["unknown"] >= 10
    assert "silence" not in made


def test_recordings_that_say_something_else_get_none(capsys: pytest.CaptureFixture[str]) -> None:
    misled = recordings(yes="nine", stop="left", nine="yes", left="stop")
    assert with_voices(misled, 1.0, None, seed=0) is misled
    assert "do not sound like 'left', 'nine' and so on in English" in capsys.readouterr().err


def test_labels_without_a_pronunciation_get_none(capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("lumos", "да", "***", "label_a"):
        foreign = recordings(yes="yes", **{label: "stop"})
        assert with_voices(foreign, 1.0, None, seed=0) is foreign
        assert f"no pronunciation of '{label}'" in capsys.readouterr().err
    assert with_voices(YES, 0.0, None, seed=0) is YES
    one = YES.select([0, 4, 8])
    assert with_voices(one, 1.0, None, seed=0) is one


def test_a_file_adds_pronunciations(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text(
        ";;; spells\nLUMOS  L UW1 M OW0 S\nLUMOS(2)  L UH1 M AH0 S\nnox N AA1 K S # dark\n\n"
    )
    known = read_pronunciations(str(file))
    assert known["lumos"] == ("L", "UW", "M", "OW", "S")
    assert known["nox"] == ("N", "AA", "K", "S")
    assert known["yes"] == PRONUNCIATIONS["yes"]
    spells = recordings(known, lumos="lumos", nox="nox", yes="yes")
    assert set(with_voices(spells, 1.0, str(file), seed=0)["label"][len(spells) :]) == {
        *("lumos", "nox", "yes")
    }


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("LUMOS", "line 1: no sounds"),
        ("yes Y EH1 S\nLUMOS L UW1 MM OW0 S", "line 2: 'MM' is no sound"),
        (None, "No such file"),
    ],
)
def test_a_bad_file_of_pronunciations_is_named(
    tmp_path: Path, content: str | None, what: str
) -> None:
    file = tmp_path / "words.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=f"words.txt.*{what}"):
        with_voices(YES, 1.0, str(file), seed=0)


def test_what_a_label_says() -> None:
    assert words_of("turn_left") == ["turn", "left"]
    assert words_of("Go-7") == ["go", "seven"]
    assert words_of("don't stop") == ["don't", "stop"]
    assert words_of("…") == []


def test_every_sound_of_the_dictionary_is_there() -> None:
    sounds = (
        "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
        "V W Y Z ZH"
    )
    assert set(sounds.split()) == set(PHONEMES)
    known = {"choice": ("CH", "OY", "S"), "long": ("L", "AO", "NG"), "jazz": ("JH", "AE", "Z")}
    for word in known:
        assert segments_of(word, known)
        wave = spoken(
            [word], Speaker.drawn(np.random.default_rng(0)), np.random.default_rng(1), known
        )
        assert np.isfinite(wave).all()


def test_they_are_learnt_from_and_not_measured_on() -> None:
    settings = {**Keywords.tiny().settings, "voices": 1.0, "silence": 0.0}
    application = Keywords(Keywords.Config.from_values(settings))
    examples = application.check(YES, learning=True)
    training = application.compose(application.input.units(examples)).training
    assert training is not None
    assert len(training) == 2 * len(YES)
    assert training["label"][: len(YES)] == YES["label"]
