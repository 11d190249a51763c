"""Synthetic speech has the formants, the pitch and the durations that were asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz
from scipy.signal import decimate

from apps.speech import phonemes
from apps.speech.phonemes import PHONEMES, PRONUNCIATIONS, segments_of
from apps.speech.synthesis import RATE, Speaker, coloured_noise, spoken

MAN = Speaker(
    pitch=105,
    tract=1.0,
    accent=(1.0, 1.0, 1.0),
    rate=1.0,
    melody=0.1,
    jitter=0.005,
    breath=0.02,
    tilt=0.0,
    noise=30,
    colour=-3,
)


def said(word: str, speaker: Speaker = MAN, seed: int = 0) -> np.ndarray:
    return spoken([word], speaker, np.random.default_rng(seed))


def middle(wave: np.ndarray, seconds: float) -> np.ndarray:
    half = int(seconds * RATE / 2)
    return wave[len(wave) // 2 - half : len(wave) // 2 + half]


def formants(wave: np.ndarray) -> np.ndarray:
    """Frequencies of the narrow resonances by linear prediction at 8 kHz, Hz, ascending."""
    slow = decimate(wave, 2, ftype="fir")
    slow = np.diff(slow) * np.hamming(len(slow) - 1)
    lags = np.correlate(slow, slow, "full")[len(slow) - 1 :]
    order = 10
    weights = solve_toeplitz(
        lags[:order] * (1 + 1e-6 * (np.arange(order) == 0)), lags[1 : order + 1]
    )
    roots = np.roots(np.concatenate([[1.0], -weights]))
    rate = RATE / 2
    narrow = roots[(roots.imag > 0) & (-np.log(np.abs(roots)) * rate / np.pi < 400)]
    hertz = np.sort(np.angle(narrow) * rate / (2 * np.pi))
    return hertz[hertz > 150]


def pitch(wave: np.ndarray) -> float:
    """Fundamental frequency by the peak of the autocorrelation, Hz."""
    lags = np.correlate(wave, wave, "full")[len(wave) - 1 :]
    shortest, longest = RATE // 500, RATE // 60
    return RATE / (shortest + int(lags[shortest:longest].argmax()))


@pytest.mark.parametrize("vowel", ["IY", "EH", "AE", "AA"])
def test_vowels_have_the_formants_of_the_table(vowel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRONUNCIATIONS, "vowel", (vowel,))
    first, second, _ = PHONEMES[vowel][0].formants
    measured = [formants(middle(said("vowel", seed=seed), 0.06))[:2] for seed in range(5)]
    heard = np.median(measured, axis=0)
    assert heard[0] == pytest.approx(first, rel=0.15)
    assert heard[1] == pytest.approx(second, rel=0.15)


def test_a_shorter_vocal_tract_raises_the_formants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRONUNCIATIONS, "vowel", ("EH",))
    child = replace(MAN, tract=1.25)
    second = [
        np.median([formants(middle(said("vowel", who, seed), 0.06))[1] for seed in range(5)])
        for who in (MAN, child)
    ]
    assert second[1] / second[0] == pytest.approx(1.25, rel=0.1)


@pytest.mark.parametrize("hertz", [100, 180, 260])
def test_pitch_is_near_the_speakers(hertz: float) -> None:
    speaker = replace(MAN, pitch=hertz)
    measured = [pitch(middle(said("no", speaker, seed), 0.12)) for seed in range(5)]
    assert np.median(measured) == pytest.approx(hertz, rel=0.2)


def test_frication_is_high_and_vowels_are_low() -> None:
    wave = said("yes")
    spectra = np.abs(np.fft.rfft(wave[: len(wave) // 320 * 320].reshape(-1, 320))) ** 2
    power = spectra.sum(1)
    high = spectra[:, 80:].sum(1) / np.maximum(power, 1e-9)
    loud = np.flatnonzero(power > 0.01 * power.max())
    first, last = loud[: len(loud) // 2], loud[-3:-1]
    assert high[first].max() < 0.1
    assert high[last].min() > 0.5


def test_every_word_can_be_said_in_a_natural_time() -> None:
    for seed, word in enumerate(PRONUNCIATIONS):
        wave = said(word, seed=seed)
        assert np.isfinite(wave).all(), word
        assert 0.2 < len(wave) / RATE < 1.2, word
        assert np.abs(wave).max() < 12, word


def test_slow_speakers_take_longer() -> None:
    slow = replace(MAN, rate=1.5)
    assert len(said("seven", slow)) > 1.3 * len(said("seven"))


def test_words_run_into_each_other() -> None:
    alone = len(said("six")) + len(said("two"))
    pairs = [len(spoken(["six", "two"], MAN, np.random.default_rng(seed))) for seed in range(6)]
    assert min(pairs) < alone


def test_seed_decides_every_sample() -> None:
    np.testing.assert_array_equal(said("go", seed=3), said("go", seed=3))
    one, other = (middle(said("go", seed=seed), 0.2) for seed in (3, 4))
    assert np.abs(np.corrcoef(one, other)[0, 1]) < 0.9
    anna, bert = (Speaker.drawn(np.random.default_rng(seed)) for seed in (0, 1))
    assert anna == Speaker.drawn(np.random.default_rng(0))
    assert anna != bert


def test_drawn_speakers_are_people() -> None:
    people = [Speaker.drawn(np.random.default_rng(seed)) for seed in range(200)]
    heights = np.array([who.pitch for who in people])
    assert heights.min() > 60
    assert heights.max() < 300
    assert np.corrcoef(heights, [who.tract for who in people])[0, 1] > 0.8


def test_stops_lose_their_aspiration_after_s() -> None:
    aspirated = [segment.milliseconds for segment in segments_of("two") if segment.aspiration]
    plain = [segment.milliseconds for segment in segments_of("stop") if segment.aspiration]
    assert max(plain) < max(aspirated)
    assert segments_of("happy")[0].formants == phonemes.PHONEMES["AE"][0].formants


@pytest.mark.parametrize("slope", [0.0, -3.0, -6.0])
def test_noise_has_the_slope(slope: float) -> None:
    noise = coloured_noise(4 * RATE, slope, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    octaves = [power[(hertz > low) & (hertz < 1.1 * low)].mean() for low in (500, 4000)]
    assert 10 * np.log10(octaves[1] / octaves[0]) / 3 == pytest.approx(slope, abs=0.3)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0)
