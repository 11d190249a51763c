"""Joints as steps: where the body stands and how large it is does not matter, movement does."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from apps.layers.video.joints import JointMotion, JointSampler


def bodies(rows: int = 3, time: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (rows, time, 7, 2)).astype(np.float32)


def test_place_and_size_are_left_out() -> None:
    layer = JointMotion(mirror=True)
    steps = layer(bodies()).numpy()
    assert steps.shape == (3, 4, 28)
    np.testing.assert_allclose(layer(bodies() * 40 + 300), steps, atol=1e-3)
    assert not layer(np.ones((1, 5, 7, 2), np.float32)).numpy().any()


def test_steps_hold_where_joints_are_and_how_they_move() -> None:
    steps = JointMotion(mirror=False)(bodies(1)).numpy().reshape(4, 7, 4)
    np.testing.assert_allclose(steps[1:, :, 2:], 10 * np.diff(steps[..., :2], axis=0), atol=1e-4)


def test_training_mirrors_turns_and_stretches_whole_sequences() -> None:
    given = np.repeat(bodies(1), 200, 0)
    layer = JointMotion(mirror=True, seed=0)
    plain = layer(given).numpy()
    changed = layer(given, training=True).numpy()
    assert len({row.tobytes() for row in changed}) == 200
    # Of a mirrored body, what was right is left.
    correlation = [(a[..., 0::4] * b[..., 0::4]).sum() for a, b in zip(plain, changed, strict=True)]
    assert 60 < (np.array(correlation) < 0).sum() < 140
    lengths = np.linalg.norm(changed.reshape(200, -1), axis=1) / np.linalg.norm(plain[0])
    assert lengths.min() > 0.88
    assert lengths.max() < 1.12


def test_moments_are_the_middles_of_equal_parts() -> None:
    sampler = JointSampler(4, 7, 2, seconds=1.0)
    given = bodies(2, 8)
    found = sampler(tf.constant(given), tf.constant([8, 0])).numpy()
    np.testing.assert_array_equal(found[0], given[0, [1, 3, 5, 7]])
    assert not found[1].any()
    assert JointSampler.from_config(sampler.get_config()).get_config() == sampler.get_config()
