"""The cache of what a text has said, beside the softmax."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.language.cache import SHARPNESS, ContinuousCache

SIZE, WIDTH = 4, 3


def made(share: float, sharpness: float) -> ContinuousCache:
    cache = ContinuousCache(SIZE)
    cache.build()
    cache.share.assign(share)
    cache.sharpness.assign(sharpness)
    return cache


def by_hand(
    features: np.ndarray, target: np.ndarray, log_probs: np.ndarray, share: float, sharpness: float
) -> list[float]:
    """Grave et al.'s formula, token by token, over one row."""
    found = []
    unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
    for step in range(len(target)):
        before = range(max(0, step - SIZE), step)
        plain = np.exp(log_probs[step])
        if not len(before):
            found.append(np.log(plain))
            continue
        weights = np.exp([sharpness * unit[step] @ unit[i] for i in before])
        same = np.array([target[i] == target[step] for i in before])
        cached = (weights * same).sum() / weights.sum()
        found.append(np.log((1 - share) * plain + share * cached))
    return found


@pytest.mark.parametrize("cuts", [[9], [2, 9], [1, 3, 4, 8, 9]])
def test_it_is_the_formula_whatever_the_windows(cuts: list[int]) -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(2, 9, WIDTH)).astype(np.float32)
    target = draw.integers(4, 7, (2, 9)).astype(np.int32)
    log_probs = np.log(draw.uniform(0.01, 0.9, (2, 9))).astype(np.float32)
    cache = made(0.3, 4.0)
    memory = tf.zeros([2, SIZE, WIDTH])
    followed = tf.zeros([2, SIZE], tf.int32)
    sizes, found, start = (9, 5), [], 0
    for stop in cuts:
        lengths = tf.constant([min(max(size - start, 0), stop - start) for size in sizes])
        part = slice(start, stop)
        mixed, memory, followed = cache(
            log_probs[:, part], features[:, part], target[:, part], lengths, memory, followed
        )
        found.append(mixed.numpy())
        start = stop
    together = np.concatenate(found, 1)
    for row, size in enumerate(sizes):
        expected = by_hand(features[row, :size], target[row, :size], log_probs[row], 0.3, 4.0)
        np.testing.assert_allclose(together[row, :size], expected, atol=1e-5)
        assert followed.numpy()[row].tolist() == target[row, size - SIZE : size].tolist()


def test_without_a_share_or_in_training_it_passes_by() -> None:
    log_probs = np.array([[-0.5, -200.0, -1.0]], np.float32)
    rest = (
        tf.ones([1, 3, WIDTH]),
        tf.constant([[5, 5, 6]]),
        tf.constant([3]),
        tf.ones([1, SIZE, WIDTH]),
        tf.fill([1, SIZE], 5),
    )
    np.testing.assert_array_equal(made(0.0, 5.0)(log_probs, *rest)[0], log_probs)
    np.testing.assert_array_equal(made(0.5, 5.0)(log_probs, *rest, training=True)[0], log_probs)
    mixed = made(0.5, 5.0)(log_probs, *rest)[0].numpy()
    assert mixed[0, 1] == pytest.approx(np.log(0.5), abs=1e-5)
    assert np.isfinite(made(0.5, 5.0)(log_probs - 300, *rest)[0]).all()


def test_what_makes_the_tokens_likeliest_is_chosen() -> None:
    cache = made(0.0, 0.0)
    helpful = np.tile(np.array([0.1, 0.2, 0.9, 0.3, 0.1]), (50, 1))
    assert cache.choose(np.full(50, np.log(0.1)), helpful) == (0.3, SHARPNESS[2])
    assert float(cache.share) == pytest.approx(0.3)
    useless = np.zeros((50, 5))
    assert cache.choose(np.full(50, np.log(0.5)), useless)[0] == 0.0
    nothing = np.full((50, 5), -1.0)
    assert cache.choose(np.full(50, np.log(0.5)), nothing)[0] == 0.0
