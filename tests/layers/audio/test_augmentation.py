"""Augmentation: what each kind does to a row, in numbers, and nothing outside training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import hilbert

from apps.layers.audio.augmentation import Dither, Gain, NoiseMixing, SpeedChange, TimeShift
from apps.layers.audio.spec_augment import SpecAugment

RATE = 8000
ROWS = 32
Make = Callable[..., Any]

WAVES: dict[str, Make] = {
    "speed": lambda **more: SpeedChange(0.8, 1.25, **more),
    "shift": lambda **more: TimeShift(100.0, RATE, **more),
    "gain": lambda **more: Gain(6.0, **more),
    "dither": lambda **more: Dither(0.01, **more),
    "noise": lambda **more: NoiseMixing(0.0, 20.0, **more),
}
IDLE: list[Make] = [
    *(lambda make=make, **more: make(probability=0.0, **more) for make in WAVES.values()),
    lambda: SpeedChange(1.0, 1.0),
    lambda: TimeShift(0.0, RATE),
    lambda: Gain(0.0),
    lambda: Dither(0.0),
]


def tones() -> tuple[np.ndarray, np.ndarray]:
    """A tone of 500 Hz in each row, of different lengths, the last two of 1 and 0 samples."""
    lengths = np.linspace(4000, 8000, ROWS).astype(np.int32)
    lengths[-2:] = 1, 0
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(8000) / RATE + 0.1)
    real = np.arange(8000) < lengths[:, None]
    return np.where(real, tone, 0).astype(np.float32), lengths


def trained(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a layer makes of the tones in training, in a graph of unknown shapes."""
    call = tf.function(
        lambda audio, lengths: layer(audio, lengths, training=True),
        input_signature=[
            tf.TensorSpec((None, None), tf.float32),
            tf.TensorSpec((None,), tf.int32),
        ],
    )
    audio, lengths = call(*tones())
    return audio.numpy(), lengths.numpy()


@pytest.mark.parametrize("make", WAVES.values(), ids=list(WAVES))
def test_rows_change_in_training_only_and_by_the_seed(make: Make) -> None:
    audio, lengths = tones()
    layer = make(seed=4)
    again = type(layer).from_config(layer.get_config())
    for given, unchanged in zip((audio, lengths), layer(audio, lengths), strict=True):
        np.testing.assert_array_equal(given, unchanged)
    changed, after = trained(layer)
    same, same_after = trained(again)
    np.testing.assert_array_equal(changed, same)
    np.testing.assert_array_equal(after, same_after)
    assert not np.array_equal(trained(layer)[0], changed)
    assert np.isfinite(changed).all()
    assert (changed[np.arange(changed.shape[1]) >= after[:, None]] == 0).all()
    assert after[-2:].tolist() == [1, 0]
    half, half_after = trained(make(seed=4, probability=0.5))
    kept = [
        half_after[row] == lengths[row]
        and np.allclose(half[row, : lengths[row]], audio[row, : lengths[row]], atol=1e-6)
        for row in range(ROWS - 2)
    ]
    assert 6 <= sum(kept) <= 24


@pytest.mark.parametrize("make", IDLE)
def test_no_probability_or_no_strength_changes_nothing(make: Make) -> None:
    audio, lengths = tones()
    layer = make()
    changed, after = layer(audio, lengths, training=True)
    np.testing.assert_array_equal(changed, audio)
    np.testing.assert_array_equal(after, lengths)
    assert not layer.active


def test_speed_changes_length_and_pitch_alike() -> None:
    _, lengths = tones()
    changed, after = trained(SpeedChange(0.8, 1.25, seed=1))
    speed = lengths[:-2] / after[:-2]
    assert 0.79 < speed.min() < 0.9
    assert 1.1 < speed.max() < 1.26
    for row, ratio in enumerate(speed):
        tone = changed[row, : after[row]]
        phase = np.unwrap(np.angle(hilbert(tone)))[400:-400]
        turns, start = np.polyfit(np.arange(400, len(tone) - 400), phase, 1)
        assert turns * RATE / (2 * np.pi) == pytest.approx(500 * ratio, rel=3e-4)
        wanted = 0.5 * np.cos(start + turns * np.arange(len(tone)))
        # Before the first sample and beyond the last, the cubic runs into zeros.
        np.testing.assert_allclose(tone[2:-3], wanted[2:-3], atol=0.01)


def test_a_shift_moves_what_stays_and_fills_with_zeros() -> None:
    audio, lengths = tones()
    changed, after = trained(TimeShift(100.0, RATE, seed=2))
    np.testing.assert_array_equal(after, lengths)
    moves = []
    for row in range(ROWS - 2):
        length = lengths[row]
        moves.append(
            next(
                move
                for move in range(-800, 801)
                if np.array_equal(changed[row, :length], moved(audio[row, :length], move))
            )
        )
    assert min(moves) < -400
    assert max(moves) > 400


def moved(wave: np.ndarray, samples: int) -> np.ndarray:
    filled = np.zeros_like(wave)
    if samples >= 0:
        filled[samples:] = wave[: len(wave) - samples]
    else:
        filled[:samples] = wave[-samples:]
    return filled


def test_gain_scales_a_row_evenly_in_decibels() -> None:
    audio, _ = tones()
    changed, _ = trained(Gain(6.0, seed=3))
    decibels = 20 * np.log10(np.abs(changed[:30]).max(1) / np.abs(audio[:30]).max(1))
    assert -6 <= decibels.min() < -3
    assert 3 < decibels.max() <= 6
    for row in range(30):
        np.testing.assert_allclose(changed[row], audio[row] * 10 ** (decibels[row] / 20), atol=1e-5)


def test_dither_is_of_the_level_asked_for() -> None:
    audio, lengths = tones()
    changed, _ = trained(Dither(0.01, seed=5))
    noise = np.concatenate([(changed - audio)[row, : lengths[row]] for row in range(ROWS)])
    assert noise.std() == pytest.approx(0.01, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("babble", [0.0, 1.0])
def test_noise_has_the_ratio_drawn_to_the_row_s_own_power(babble: float) -> None:
    audio, _ = tones()
    changed, _ = trained(NoiseMixing(10.0, 10.0, babble=babble, seed=6))
    ratios = [
        10 * np.log10(np.square(audio[row]).sum() / np.square(changed[row] - audio[row]).sum())
        for row in range(ROWS - 2)
    ]
    np.testing.assert_allclose(ratios, 10, atol=0.01)
    changed, _ = trained(NoiseMixing(0.0, 20.0, babble=babble, seed=6))
    ratios = [
        10 * np.log10(np.square(audio[row]).sum() / np.square(changed[row] - audio[row]).sum())
        for row in range(ROWS - 2)
    ]
    assert 0 <= min(ratios) < 6
    assert 14 < max(ratios) <= 20.01


def test_noises_are_of_many_colours() -> None:
    audio, _ = tones()
    changed, _ = trained(NoiseMixing(0.0, 0.0, babble=0.0, seed=7))
    power = np.square(np.abs(np.fft.rfft((changed - audio)[:30, :4000])))
    low, high = power[:, 25:200].mean(1), power[:, 1000:].mean(1)
    fall = np.log10(low / high)
    assert fall.min() < 0.4
    assert fall.max() > 2.2


def test_babble_is_other_rows_and_a_row_alone_gets_noise() -> None:
    """Three rows of one tone each: no row is mixed with its own."""
    time = np.arange(4000) / RATE
    audio = np.stack([np.sin(2 * np.pi * f * time) for f in (400, 900, 1700)]).astype(np.float32)
    layer = NoiseMixing(0.0, 0.0, babble=1.0, seed=8)
    changed, _ = layer(audio, np.array([4000, 4000, 4000]), training=True)
    power = np.square(np.abs(np.fft.rfft(changed.numpy() - audio)))[:, [200, 450, 850]]
    own = np.diag(power) / power.sum(1)
    assert own.max() < 1e-3
    alone, _ = layer(audio[:1], np.array([4000]), training=True)
    noise = np.square(np.abs(np.fft.rfft(alone.numpy() - audio[:1])))[0]
    assert np.count_nonzero(noise > 1e-4 * noise.max()) > 200


def test_silence_stays_silence_under_noise() -> None:
    silent, _ = NoiseMixing(0.0, 0.0, seed=9)(tf.zeros((2, 100)), np.array([100, 0]), training=True)
    assert not silent.numpy().any()


def test_an_empty_batch_goes_through_all() -> None:
    audio, lengths = tf.zeros((2, 0)), tf.zeros((2,), tf.int32)
    for make in WAVES.values():
        audio, lengths = make(seed=1)(audio, lengths, training=True)
    assert audio.shape == (2, 0)


FRAMES = np.array([200, 150, 40, 5, 0], np.int32)


def spectra() -> np.ndarray:
    return np.where((np.arange(200) < FRAMES[:, None])[..., None], np.ones(40), 0).astype("f4")


def longest_run(hidden: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def test_masks_have_the_extent_allowed() -> None:
    layer = SpecAugment(
        frequency_masks=1, frequency_width=8, time_masks=1, time_width=30, time_share=0.2, seed=3
    )
    call = tf.function(lambda x, n: layer(x, n, training=True))
    bands: list[int] = []
    times: list[list[int]] = [[] for _ in FRAMES]
    places: list[np.ndarray] = []
    for _ in range(120):
        masked = call(spectra(), FRAMES).numpy()
        for row, frames in enumerate(FRAMES[:4]):
            hidden_bands = (masked[row, :frames] == 0).all(0)
            hidden_frames = (masked[row, :frames] == 0).all(1)
            whole = hidden_bands[None, :] | hidden_frames[:, None]
            np.testing.assert_array_equal(masked[row, :frames] == 0, whole)
            assert longest_run(hidden_bands) == hidden_bands.sum()
            assert longest_run(hidden_frames) == hidden_frames.sum()
            bands.append(int(hidden_bands.sum()))
            times[row].append(int(hidden_frames.sum()))
            places.append(hidden_bands)
        assert not masked[4].any()
    assert set(bands) == set(range(9))
    assert [max(times[row]) for row in range(4)] == [30, 30, 8, 1]
    assert all(min(counts) == 0 for counts in times[:4])
    assert np.stack(places).any(0).all()


def test_spec_augment_is_idle_outside_training_and_without_masks() -> None:
    x = spectra()
    np.testing.assert_array_equal(SpecAugment(seed=1)(x, FRAMES), x)
    none = SpecAugment(frequency_masks=0, time_masks=0)
    np.testing.assert_array_equal(none(x, FRAMES, training=True), x)
    first = SpecAugment(seed=1)
    again = SpecAugment.from_config(first.get_config())
    masked = first(x, FRAMES, training=True)
    np.testing.assert_array_equal(masked, again(x, FRAMES, training=True))
    assert (masked.numpy() != x).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpeedChange(0.0, 1.0),
        lambda: SpeedChange(1.1, 0.9),
        lambda: TimeShift(-1.0, RATE),
        lambda: Gain(-1.0),
        lambda: Dither(-1e-3),
        lambda: NoiseMixing(20.0, 10.0),
        lambda: NoiseMixing(babble=1.5),
        lambda: Gain(probability=2.0),
        lambda: SpecAugment(time_share=1.5),
        lambda: SpecAugment(time_masks=-1),
    ],
)
def test_settings_out_of_range_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match=r"must be|take"):
        make()


def test_all_of_them_in_a_model_that_is_saved(tmp_path: Any) -> None:
    audio = keras.Input((None,), name="audio")
    lengths = keras.Input((), dtype="int32", name="lengths")
    changed: Any = (audio, lengths)
    for make in WAVES.values():
        changed = make(seed=1)(*changed)
    features = keras.layers.Reshape((-1, 1))(changed[0])
    model = keras.Model([audio, lengths], SpecAugment(seed=1)(features, changed[1]))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    wave, counts = tones()
    np.testing.assert_array_equal(model([wave, counts])[..., 0], wave)
    np.testing.assert_array_equal(
        model([wave, counts], training=True), again([wave, counts], training=True)
    )
