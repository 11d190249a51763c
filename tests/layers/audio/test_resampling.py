"""Resampling in the graph: sines, soxr's results, no aliases, odd rates and sizes."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
import tensorflow as tf

from apps.layers.audio.resampling import resampled

RATES = [(8000, 16000), (44100, 16000), (48000, 16000), (16000, 8000)]
# Their ratio to 16 kHz has large terms and so needs the polynomial of the phase.
ODD = [(44101, 16000), (11127, 16000)]


@tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])
def to_16k(signal: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    return resampled(signal, rate, 16000)


@tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])
def to_8k(signal: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    return resampled(signal, rate, 8000)


def converted(signal: np.ndarray, rate: int, to_rate: int) -> np.ndarray:
    return {16000: to_16k, 8000: to_8k}[to_rate](signal.astype(np.float32), rate).numpy()


def decibels(signal: np.ndarray, over: np.ndarray) -> float:
    """Power of one signal over that of another."""
    return float(10 * np.log10(np.mean(signal**2) / np.mean(over**2)))


def middle(signal: np.ndarray) -> np.ndarray:
    """The signal without its ends, which the silence around a recording affects."""
    return signal[len(signal) // 8 : -(len(signal) // 8)]


def sine(hertz: float, rate: int) -> np.ndarray:
    """A second of a tone."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate + 0.3)


@pytest.mark.parametrize(("rate", "to_rate"), RATES + ODD)
def test_what_both_rates_hold_passes_unchanged(rate: int, to_rate: int) -> None:
    for share in (0.01, 0.5, 0.9):
        hertz = share * min(rate, to_rate) / 2
        found = converted(sine(hertz, rate), rate, to_rate)
        true = sine(hertz, to_rate)
        assert found.shape == true.shape
        assert decibels(middle(found - true), true) < -80


@pytest.mark.parametrize(("rate", "to_rate"), RATES)
def test_noise_becomes_what_soxr_makes_of_it(rate: int, to_rate: int) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=rate))
    spectrum[np.arange(len(spectrum)) > 0.9 * min(rate, to_rate) / 2] = 0
    noise = 0.1 * np.fft.irfft(spectrum, rate)
    found, theirs = converted(noise, rate, to_rate), soxr.resample(noise, rate, to_rate, "HQ")
    assert decibels(found - theirs, theirs) < -60


@pytest.mark.parametrize(("rate", "to_rate"), [*RATES[1:], ODD[0]])
def test_what_only_the_higher_rate_holds_is_gone(rate: int, to_rate: int) -> None:
    for share in (1.05, 1.5):
        tone = sine(share * to_rate / 2, rate)
        assert decibels(middle(converted(tone, rate, to_rate)), tone) < -90


@pytest.mark.parametrize("rate", [8000, 11127])
def test_a_higher_rate_gets_no_mirror_images(rate: int) -> None:
    found = middle(converted(sine(3000, rate), rate, 16000))
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found)))) ** 2
    images = np.fft.rfftfreq(len(found), 1 / 16000) > rate / 2
    assert 10 * np.log10(spectrum[images].sum() / spectrum.sum()) < -80


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 11127, 192000])
def test_sizes_are_those_of_the_nearest_whole_number(rate: int) -> None:
    for samples in (0, 1, 2, 3, 100, 999, 4001):
        found = converted(np.zeros(samples), rate, 16000)
        assert len(found) == max(min(samples, 1), (samples * 16000 + rate // 2) // rate)
        assert not found.any()


def test_at_its_own_rate_a_signal_stays_as_it_is() -> None:
    signal = np.random.default_rng(2).uniform(-1, 1, 50).astype(np.float32)
    np.testing.assert_array_equal(converted(signal, 16000, 16000), signal)


def test_what_swings_beyond_full_scale_is_cut() -> None:
    square = np.where(np.arange(4000) // 20 % 2, 1.0, -1.0)
    found = converted(square, 44100, 16000)
    assert np.abs(found).max() == 1.0
