"""Normalisation of features: three kinds of mean, estimated scales, streams."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.audio.normalization import FeatureNormalization

LENGTHS = np.array([9, 4, 1, 0], np.int32)
MEAN = np.array([-4.0, 1.0, 0.5], np.float32)
SCALE = np.array([2.0, 0.5, 3.0], np.float32)


def features() -> np.ndarray:
    """Rows of different means; 1,000 in the padding."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 9, 3)) * SCALE + MEAN + np.arange(4)[:, None, None]
    real = np.arange(9) < LENGTHS[:, None]
    return np.where(real[..., None], x, 1000).astype(np.float32)


def adapted(kind: str, prior_frames: int = 5) -> FeatureNormalization:
    layer = FeatureNormalization(kind, prior_frames=prior_frames)
    layer.assign(MEAN, SCALE)
    return layer


def expected(kind: str, row: np.ndarray) -> np.ndarray:
    """One row's real frames, frame by frame."""
    frames = []
    for at, frame in enumerate(row):
        if kind == "global":
            mean = MEAN
        elif kind == "utterance":
            mean = row.mean(0)
        else:
            mean = (5 * MEAN + row[: at + 1].sum(0)) / (5 + at + 1)
        frames.append((frame - mean) / SCALE)
    return np.array(frames).reshape(-1, 3)


@pytest.mark.parametrize("kind", ["global", "utterance", "running"])
def test_means_are_those_of_the_kind(kind: str) -> None:
    x = features()
    found = adapted(kind)(x, LENGTHS).numpy()
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(found[row, :length], expected(kind, x[row, :length]), atol=1e-5)
        assert not found[row, length:].any()


@pytest.mark.parametrize("kind", ["global", "running"])
def test_a_stream_gives_the_whole(kind: str) -> None:
    """In chunks of different lengths, some of them empty."""
    x, layer = features(), adapted(kind)
    whole = layer(x, LENGTHS).numpy()
    state = {name: tf.zeros((4, *s), dtype) for name, (s, dtype) in layer.state_specs().items()}
    done, found = np.zeros(4, int), [np.zeros((0, 3), np.float32) for _ in range(4)]
    for sizes in ([2, 1, 0, 0], [0, 0, 0, 0], [1, 2, 1, 0], [6, 1, 0, 0]):
        chunk = np.full((4, max(sizes), 3), 7, np.float32)
        for row, size in enumerate(sizes):
            chunk[row, :size] = x[row, done[row] : done[row] + size]
        done += sizes
        y, lengths, state = layer.step(tf.constant(chunk), tf.constant(sizes), state)
        np.testing.assert_array_equal(lengths, sizes)
        for row, size in enumerate(sizes):
            found[row] = np.concatenate([found[row], y[row, :size]])
            assert not y[row, size:].numpy().any()
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(found[row], whole[row, :length], atol=1e-5)


def test_a_stream_of_hours_keeps_its_precision() -> None:
    layer = FeatureNormalization("running", prior_frames=1)
    layer.assign(np.zeros(1), np.ones(1))
    state = {
        "shift": tf.constant([[-10.0]]),
        "count": tf.constant([10_000_000]),
    }
    normal, _, state = layer.step(tf.fill((1, 1000, 1), -9.0), tf.constant([1000]), state)
    np.testing.assert_allclose(normal[0, :, 0], 1.0, atol=2e-4)
    np.testing.assert_allclose(state["shift"][0, 0], -10 + 1000 / 10_001_001, atol=2e-6)


def test_an_utterance_cannot_stream() -> None:
    layer = adapted("utterance")
    with pytest.raises(ValueError, match="running"):
        layer.state_specs()
    with pytest.raises(ValueError, match="running"):
        layer.step(tf.zeros((1, 2, 3)), tf.constant([2]), {})


@pytest.mark.parametrize("kind", ["global", "utterance", "running"])
def test_what_is_learnt_is_that_of_real_frames(kind: str) -> None:
    x = features()
    layer = FeatureNormalization(kind)
    layer.adapt([(x[:2], LENGTHS[:2]), (x[2:], LENGTHS[2:])])
    rows = [x[row, :length].astype(np.float64) for row, length in enumerate(LENGTHS[:3])]
    frames = np.concatenate(rows)
    spread = frames if kind == "global" else np.concatenate([row - row.mean(0) for row in rows])
    np.testing.assert_allclose(layer.mean.numpy(), frames.mean(0), rtol=1e-5)
    wanted = frames.std(0) if kind == "global" else np.sqrt(np.square(spread).mean(0))
    np.testing.assert_allclose(layer.scale.numpy(), wanted, rtol=1e-5)


def test_a_band_that_hardly_varies_is_not_blown_up() -> None:
    x = features()[:1]
    x[..., 1] = 2 + 1e-5 * x[..., 0]
    layer = FeatureNormalization()
    layer.adapt([(x, LENGTHS[:1])])
    scale = layer.scale.numpy()
    assert scale[1] == pytest.approx((scale[0] + scale[2]) / 3 * 0.05, rel=1e-2)
    layer.adapt([(np.full((1, 9, 3), 2.0), LENGTHS[:1])])
    np.testing.assert_array_equal(layer.scale, 1)


def test_wrong_settings_and_statistics_are_refused() -> None:
    with pytest.raises(ValueError, match="global, utterance, running"):
        FeatureNormalization("batch")
    with pytest.raises(ValueError, match="prior_frames"):
        FeatureNormalization("running", prior_frames=0)
    for mean, scale in ((MEAN, 0 * SCALE), (MEAN, np.nan * SCALE), (np.inf * MEAN, SCALE)):
        with pytest.raises(ValueError, match="finite"):
            FeatureNormalization().assign(mean, scale)
    with pytest.raises(ValueError, match="not one frame"):
        FeatureNormalization().adapt([(np.zeros((2, 3, 3)), np.zeros(2))])
