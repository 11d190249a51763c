"""What a row carries for the report: sound that plays, a picture that is true, a track."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from apps.report.speech.players import (
    add_evidence,
    attention_track,
    audio_evidence,
    ctc_track,
    mel,
)


def tone(hz: float, seconds: float, rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def content(address: str) -> bytes:
    return base64.b64decode(address.partition(",")[2])


def picture(evidence: dict[str, Any]) -> np.ndarray:
    with Image.open(io.BytesIO(content(evidence["spectrogram"]))) as image:
        return np.asarray(image)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 96000])
def test_the_sound_is_the_clip(rate: int) -> None:
    clip = tone(440, 1.5, rate)
    evidence = audio_evidence(clip, rate, picture=False)
    assert evidence["sound"].startswith("data:audio/mpeg;base64,")
    assert evidence["seconds"] == evidence["shown"] == 1.5
    heard, at = soundfile.read(io.BytesIO(content(evidence["sound"])))
    assert len(heard) / at == pytest.approx(1.5, abs=0.01)
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * at / len(heard) == pytest.approx(440, abs=1)
    assert np.std(heard) == pytest.approx(np.std(clip), rel=0.05)
    assert audio_evidence(clip, rate, picture=False) == evidence
    assert "spectrogram" not in evidence


def test_the_picture_shows_a_tone_at_its_frequency_and_time() -> None:
    clip = np.concatenate([np.zeros(8000), tone(1000, 0.5, 16000)])
    evidence = audio_evidence(clip, 16000, sound=False)
    levels = picture(evidence)
    assert evidence["high_hz"] == 8000
    assert levels.shape == (64, 98), "98 frames of 25 ms, one each 10 ms, in a second"
    brightest = 1 - (levels[:, 75].argmax() + 0.5) / 64
    assert brightest == pytest.approx(mel(1000) / mel(8000), abs=1 / 64)
    assert levels[:, :45].max() == 0
    assert levels[:, 75].max() == 255
    assert "sound" not in evidence


def test_half_the_loudness_range_is_half_the_brightness() -> None:
    clip = np.concatenate([tone(1000, 0.5, 16000), 10 ** (-35 / 20) * tone(1000, 0.5, 16000)])
    levels = picture(audio_evidence(clip, 16000, sound=False)).astype(int)
    assert levels[:, 20].max() == 255
    assert levels[:, 80].max() == pytest.approx(127.5, abs=5)


def test_a_long_clip_is_cut_to_half_a_minute_and_stays_small() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(45 * 16000)
    evidence = audio_evidence(noise, 16000)
    assert (evidence["seconds"], evidence["shown"]) == (45.0, 30.0)
    assert picture(evidence).shape == (64, 400)
    assert soundfile.info(io.BytesIO(content(evidence["sound"]))).duration == pytest.approx(30)
    assert len(json.dumps(evidence)) < 300_000


@pytest.mark.parametrize(
    ("clip", "brightest"),
    [
        (np.zeros(1600), 0),
        (np.zeros(1), 0),
        (np.ones(1), 0),
        (np.full(1600, np.nan), 0),
        (np.full(1600, np.inf), 255),
    ],
)
def test_odd_clips_are_shown(clip: np.ndarray, brightest: int) -> None:
    evidence = audio_evidence(clip, 16000)
    assert picture(evidence).max() == brightest
    heard, _ = soundfile.read(io.BytesIO(content(evidence["sound"])))
    assert len(heard) >= 1600
    assert np.isfinite(heard).all()


def test_an_empty_clip_has_neither_sound_nor_picture() -> None:
    assert audio_evidence(np.zeros(0), 16000) == {"seconds": 0.0, "shown": 0.0}


def test_a_ctc_track_is_the_most_probable_path() -> None:
    texts = ["", " ", "a", "b"]
    path = [0, 2, 2, 0, 2, 1, 3]
    posteriors = np.full((7, 4), 0.1)
    posteriors[np.arange(7), path] = [0.7, 0.7, 0.8, 0.7, 0.6, 0.7, 0.7]
    track = ctc_track(np.log(posteriors), texts, 0.04, [(0.04, "aa"), (0.24, "b"), (31.0, "no")])
    assert track["tokens"] == [
        [0.04, "a", 0.8],
        [0.16, "a", 0.6],
        [0.2, " ", 0.7],
        [0.24, "b", 0.7],
    ]
    assert track["blank"] == [0.7, 0.1, 0.1, 0.7, 0.1, 0.1, 0.1]
    assert track["words"] == [[0.04, "aa"], [0.24, "b"]]
    empty = ctc_track(np.zeros((0, 4)), texts, 0.04, [])
    assert empty == {"step_seconds": 0.04, "blank": [], "tokens": [], "words": []}


def test_tracks_hold_half_a_minute() -> None:
    assert len(attention_track(np.ones(2000), 0.02)["weights"]) == 1500
    assert len(ctc_track(np.zeros((2000, 2)), ["", " "], 0.02, [])["blank"]) == 1500


def test_evidence_goes_to_the_worst_ten_and_to_six_examples() -> None:
    rows: list[dict[str, Any]] = [
        {
            "truth": f"word {i % 4}",
            "label": f"word {i % 4}" if i % 3 else "wrong",
            "probabilities": {f"word {i % 4}": i / 40, "wrong": 1 - i / 40},
        }
        for i in range(40)
    ]
    tracked: list[int] = []

    def track(position: int) -> dict[str, Any]:
        tracked.append(position)
        return attention_track([0.5, 0.5], 0.5)

    add_evidence(rows, lambda position: (tone(300, 0.2, 8000), 8000), track)
    heard = [i for i, row in enumerate(rows) if "sound" in row.get("audio", {})]
    seen = [i for i, row in enumerate(rows) if "spectrogram" in row.get("audio", {})]
    assert heard == list(range(0, 30, 3)), "wrong ones, the truth's probability lowest first"
    assert seen == tracked == [0, 1, 2, 3, 4, 6], "three wrong, three right words"
    assert all(("track" in row) == (i in seen) for i, row in enumerate(rows))
    json.dumps(rows)
