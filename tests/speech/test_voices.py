"""Voices that say the keywords: made where they help, and left out where they would mislead."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.errors import UserError
from apps.speech import espeak
from apps.speech.espeak import Utterance, accents, said
from apps.speech.keywords import Keywords
from apps.speech.sample_words import sample_words
from apps.speech.synthesis import RATE, Speaker, spoken
from apps.speech.voices import with_voices


def recordings(**words: str) -> Examples:
    """Twelve recordings of each label, in which a word is said that may be another one."""
    clips: list[Clip] = []
    labels: list[str] = []
    for row in range(12):
        for label, word in words.items():
            draw = np.random.default_rng([9, row, len(clips)])
            wave = spoken([word], Speaker.drawn(np.random.default_rng([9, row])), draw)
            clips.append(Clip.of(0.1 * wave / np.abs(wave).max(), RATE))
            labels.append(label)
    speakers = ["someone"] * len(clips)
    columns: dict[str, list[Any]] = {"audio": clips, "label": labels, "speaker": speakers}
    return Examples(columns, [f"row {row}" for row in range(len(clips))], "recordings")


YES = recordings(yes="yes", stop="stop", nine="nine", left="left")


def test_each_keyword_is_said_by_several_people_in_clips_as_long_as_the_others() -> None:
    found = with_voices(YES, 1.0, "en", seed=0)
    assert found.select(range(len(YES)))["label"] == YES["label"]
    made = found.select(range(len(YES), len(found)))
    assert Counter(made["label"]) == {"yes": 12, "stop": 12, "nine": 12, "left": 12}
    assert max(clip.seconds for clip in made["audio"]) < 2.0
    assert len({clip.samples.tobytes() for clip in made["audio"]}) == len(made)
    again = with_voices(YES, 1.0, "en", seed=0)
    np.testing.assert_array_equal(again["audio"][-1].samples, found["audio"][-1].samples)
    other = with_voices(YES, 1.0, "en", seed=1)
    assert other["audio"][-1].samples.tobytes() != found["audio"][-1].samples.tobytes()


def test_other_words_and_silence() -> None:
    sample = sample_words(0, rows=240)
    found = with_voices(sample, 0.5, "en", seed=0)
    made = Counter(found["label"][len(sample) :])
    assert sum(made.values()) == 120
    assert made["unknown"] >= 10
    assert "silence" not in made


def test_recordings_that_say_something_else_get_none(capsys: pytest.CaptureFixture[str]) -> None:
    misled = recordings(yes="nine", stop="left", nine="yes", left="stop")
    assert with_voices(misled, 1.0, "en", seed=0) is misled
    assert "do not sound like 'left', 'nine' and so on in language=en" in capsys.readouterr().err


def test_where_there_is_nothing_to_say_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    blank = recordings(**{"yes": "yes", "***": "stop"})
    assert with_voices(blank, 1.0, "en", seed=0) is blank
    assert "'***' is nothing to say" in capsys.readouterr().err
    assert with_voices(YES, 0.0, "en", seed=0) is YES
    one = YES.select([0, 4, 8])
    assert with_voices(one, 1.0, "en", seed=0) is one


def test_a_language_that_the_synthesiser_lacks_is_named() -> None:
    with pytest.raises(UserError, match="language=xx: eSpeak NG has none"):
        with_voices(YES, 1.0, "xx", seed=0)
    for language in ("de", "pl", "en-us"):
        assert language in [name.lower() for name in accents(language)]


def test_a_synthesiser_that_fails_is_done_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(espeak.sys, "executable", "/bin/false")
    assert with_voices(YES, 1.0, "en", seed=0) is YES
    assert "voices: none, since eSpeak NG failed (exit code 1)" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    assert with_voices(YES, 1.0, "en", seed=0) is YES
    assert "failed (espeakng-loader is not installed)" in capsys.readouterr().err


def test_the_same_is_said_in_the_same_way_and_different_words_differ() -> None:
    asked = [Utterance(text, "en-us+m3") for text in ("seven", "7", "left", "turn left", "")]
    found = said(asked)
    again = said(asked)
    np.testing.assert_array_equal(found["samples"], again["samples"])
    lengths = np.diff(found["offsets"]) / int(found["rate"])
    assert abs(lengths[0] - lengths[1]) < 0.02
    assert lengths[3] > lengths[2] > 0.2
    assert lengths[4] < 0.1
    assert np.abs(found["samples"]).max() > 3000


def test_they_are_learnt_from_and_not_measured_on() -> None:
    settings = {**Keywords.tiny().settings, "voices": 1.0, "silence": 0.0}
    application = Keywords(Keywords.Config.from_values(settings))
    examples = application.check(YES, learning=True)
    training = application.compose(application.input.units(examples)).training
    assert training is not None
    assert len(training) == 2 * len(YES)
    assert training["label"][: len(YES)] == YES["label"]
