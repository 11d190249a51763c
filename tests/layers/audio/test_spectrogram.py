"""Log-mel features and cepstra against their definitions in numpy, as streams, and in ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from apps.export.onnx.conversion import convert
from apps.layers.audio.mel import hz_to_mel, mel_to_hz
from apps.layers.audio.normalization import FeatureNormalization
from apps.layers.audio.spectrogram import MFCC, LogMel

RATE = 16000
LENGTHS = np.array([9000, 5123, 400, 399, 1, 0], np.int32)
FRAMES = np.array([54, 30, 1, 1, 1, 1])


def waves() -> np.ndarray:
    """A rising tone in noise, loud beyond each row's length."""
    rng = np.random.default_rng(0)
    time = np.arange(LENGTHS.max()) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (300 + 2500 * time) * time)
    return (tone + 0.02 * rng.standard_normal((len(LENGTHS), len(time)))).astype(np.float32)


def definition(
    wave: np.ndarray, rate: int, bands: int, fft: int, scale: str, normalized: bool, low: float
) -> np.ndarray:
    """Mel powers as librosa and torchaudio define them, one frame and one band at a time."""
    window, hop = round(rate * 0.025), round(rate * 0.01)
    hann = np.sin(np.pi * np.arange(window) / window) ** 2

    def mel(f: float) -> float:
        if scale == "htk":
            return 2595 * np.log10(1 + f / 700)
        return f * 3 / 200 if f < 1000 else 15 + 27 * np.log(f / 1000) / np.log(6.4)

    grid = np.linspace(0, rate / 2, 200_001)
    wanted = np.linspace(mel(low), mel(rate / 2), bands + 2)
    edges = np.interp(wanted, [mel(f) for f in grid], grid)
    rows = []
    for start in range(0, len(wave) - window + 1, hop):
        power = np.abs(np.fft.rfft(wave[start : start + window] * hann, fft)) ** 2
        row = []
        for left, peak, right in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
            height = 2 / (right - left) if normalized else 1.0
            weights = np.interp(np.fft.rfftfreq(fft, 1 / rate), [left, peak, right], [0, height, 0])
            row.append(float(power @ weights))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    ("rate", "bands", "fft", "scale", "normalized", "low"),
    [
        (16000, 80, 512, "htk", False, 20.0),
        (16000, 40, 512, "slaney", True, 0.0),
        (8000, 40, 256, "htk", False, 20.0),
        (11025, 40, 1024, "slaney", False, 60.0),
    ],
)
def test_features_are_those_of_the_definition(
    rate: int, bands: int, fft: int, scale: str, normalized: bool, low: float
) -> None:
    wave = waves()[:1, :4000]
    layer = LogMel(
        rate, bands=bands, fft_size=fft, scale=scale, normalized=normalized, low_hz=low, floor=1e-9
    )
    found, frames = layer(wave, np.array([wave.shape[1]], np.int32))
    powers = definition(wave[0].astype(np.float64), rate, bands, fft, scale, normalized, low)
    assert frames.numpy() == [len(powers)]
    np.testing.assert_allclose(found[0], np.log(powers + 1e-9), atol=1e-4)


def test_scales_are_reversed_and_pass_through_their_fixed_points() -> None:
    hz = np.array([0.0, 20.0, 999.0, 1000.0, 3700.0, 8000.0])
    for scale in ("htk", "slaney"):
        np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=1e-9)
    assert hz_to_mel(1000.0, "slaney") == 15
    assert hz_to_mel(6400.0, "slaney") == pytest.approx(42)
    assert hz_to_mel(1000.0) == pytest.approx(1000, abs=0.05)


def test_cepstra_are_the_orthonormal_cosine_transform() -> None:
    from scipy.fft import dct

    wave, lengths = waves(), tf.constant(LENGTHS)
    cepstra, frames = MFCC(RATE, coefficients=20)(wave, lengths)
    bands, expected = LogMel(RATE, bands=40)(wave, lengths)
    np.testing.assert_array_equal(frames, expected)
    wanted = dct(bands.numpy(), type=2, norm="ortho", axis=-1)[..., :20]
    for row, count in enumerate(FRAMES):
        np.testing.assert_allclose(cepstra[row, :count], wanted[row, :count], atol=1e-4)
        assert not cepstra[row, count:].numpy().any()


def test_no_band_is_without_a_frequency() -> None:
    """80 bands below 4 kHz are narrower than the steps of a transform of one window."""
    layer = LogMel(8000, bands=80, low_hz=0.0, scale="htk")
    noise = np.random.default_rng(1).standard_normal((1, 8000)).astype(np.float32)
    features, _ = layer(noise, np.array([8000], np.int32))
    assert features.numpy().mean((0, 1)).min() > np.log(1e-3)


def test_rows_do_not_depend_on_their_batch_or_its_padding() -> None:
    wave, layer = waves(), LogMel(RATE)
    features, frames = layer(wave, LENGTHS)
    assert features.shape == (6, 54, 80)
    np.testing.assert_array_equal(frames, FRAMES)
    np.testing.assert_array_equal(layer.frames(LENGTHS), FRAMES)
    np.testing.assert_array_equal(layer.frames(tf.constant(LENGTHS)), FRAMES)
    assert [layer.frames(int(length)) for length in LENGTHS] == FRAMES.tolist()
    for row, (length, count) in enumerate(zip(LENGTHS, FRAMES, strict=True)):
        alone, _ = layer(wave[row : row + 1, : max(length, 1)], LENGTHS[row : row + 1])
        np.testing.assert_allclose(features[row, :count], alone[0], atol=1e-6)
        assert not features[row, count:].numpy().any()


def test_silence_and_rounding_noise_are_near_the_floor() -> None:
    silence = np.zeros((1, 1600), np.float32)
    rounding = np.random.default_rng(2).uniform(-0.5, 0.5, (1, 1600)).astype(np.float32) / 32768
    layer = LogMel(RATE)
    quiet, _ = layer(silence, np.array([1600]))
    np.testing.assert_allclose(quiet, np.log(1e-7), rtol=1e-6)
    rounded, _ = layer(rounding, np.array([1600]))
    assert np.abs(rounded - quiet).max() < 2


def streamed(layer: Any, pieces: Any, wave: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Features of each row from a stream; `pieces` are the samples of each row's chunks."""
    rows = len(lengths)
    state = {k: tf.zeros((rows, *s), dtype) for k, (s, dtype) in layer.state_specs().items()}
    signature = (
        tf.TensorSpec((rows, None), tf.float32),
        tf.TensorSpec((rows,), tf.int32),
        {key: tf.TensorSpec(value.shape, value.dtype) for key, value in state.items()},
    )
    step = tf.function(layer.step, input_signature=signature)
    done = np.zeros(rows, int)
    found: list[list[np.ndarray]] = [[] for _ in range(rows)]
    while (done < lengths).any():
        sizes = np.minimum(pieces(rows), lengths - done)
        chunk = np.full((rows, sizes.max() + 3), 0.7, np.float32)
        for row, size in enumerate(sizes):
            chunk[row, :size] = wave[row, done[row] : done[row] + size]
        done += sizes
        features, frames, state = step(tf.constant(chunk), tf.constant(sizes, tf.int32), state)
        for row, count in enumerate(frames.numpy()):
            found[row].append(features[row, :count].numpy())
            assert not features[row, count:].numpy().any()
    return [np.concatenate(parts) for parts in found]


@pytest.mark.parametrize(
    ("size", "hop_ms"),
    [
        (1, 10.0),
        (7, 10.0),
        (160, 10.0),
        (161, 10.0),
        (5000, 10.0),
        ("random", 10.0),
        ("random", 33.0),
    ],
)
def test_a_stream_gives_the_frames_of_the_whole(size: int | str, hop_ms: float) -> None:
    rng = np.random.default_rng(3)
    layer = LogMel(RATE, bands=8, hop_ms=hop_ms)
    wave = waves()[:3]
    lengths = np.array([563, 561, 402]) if size in (1, 7) else np.array([9000, 5123, 1700])
    whole, frames = layer(wave[:, : lengths.max()], lengths.astype(np.int32))
    found = streamed(
        layer,
        lambda rows: rng.integers(0, 700, rows) if size == "random" else np.full(rows, size),
        wave,
        lengths,
    )
    for row, count in enumerate(frames.numpy()):
        assert len(found[row]) == count
        np.testing.assert_allclose(found[row], whole[row, :count], atol=1e-6)


@pytest.mark.parametrize("kind", ["global", "utterance", "running"])
def test_a_saved_model_and_its_onnx_graph_agree(kind: str, tmp_path: Path) -> None:
    audio = keras.Input((None,), name="audio")
    lengths = keras.Input((), dtype="int32", name="lengths")
    features, frames = MFCC(RATE, coefficients=13)(audio, lengths)
    normalization = FeatureNormalization(kind, prior_frames=20)
    features = normalization(features, frames)
    assert features.shape == (None, None, 13)
    model = keras.Model([audio, lengths], {"features": features, "frames": frames})
    normalization.assign(np.linspace(-3, 3, 13), np.linspace(1, 2, 13))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    session = onnxruntime.InferenceSession(convert(model, "model").SerializeToString())
    for rows, samples in ((slice(0, 6), 9000), (slice(1, 3), 5123), (slice(3, 5), 399)):
        given = {"audio": waves()[rows, :samples], "lengths": LENGTHS[rows]}
        wanted = model(given)
        for other in (
            again(given),
            dict(zip(wanted, session.run(list(wanted), given), strict=True)),
        ):
            np.testing.assert_array_equal(other["frames"], FRAMES[rows])
            np.testing.assert_allclose(other["features"], wanted["features"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"high_hz": 9000.0}, "half the sampling rate"),
        ({"low_hz": 500.0, "high_hz": 500.0}, "less than the second"),
        ({"scale": "bark"}, "htk, slaney"),
        ({"hop_ms": 0.01}, "too short"),
        ({"fft_size": 256}, "400 samples"),
        ({"floor": 0.0}, "more than 0"),
        ({"bands": 0}, "at least 1"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LogMel(RATE, **settings)
    if "bands" not in settings:
        with pytest.raises(ValueError, match="coefficients of 40 bands"):
            MFCC(RATE, coefficients=41)


def test_half_precision_elsewhere_does_not_reach_the_front_end() -> None:
    wave = waves()[:1]
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        features, _ = LogMel(RATE)(wave, LENGTHS[:1])
    finally:
        keras.config.set_dtype_policy(before)
    assert features.dtype == tf.float32
    np.testing.assert_array_equal(features, LogMel(RATE)(wave, LENGTHS[:1])[0])
