"""Frames that a model sees: middles of equal parts, at one size; in training any of a part."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.video.sampling import FrameSampler, RandomFrames, middles


def numbered(*lengths: int, size: int = 8) -> tuple[tf.Tensor, tf.Tensor]:
    """Clips whose frames have their number, from 1, as grey level; 0 behind the end."""
    frames = np.zeros((len(lengths), max(lengths, default=0), size, size, 3), np.uint8)
    for row, length in enumerate(lengths):
        frames[row, :length] = np.arange(1, length + 1)[:, None, None, None]
    return tf.constant(frames), tf.constant(lengths, tf.int32)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 9, 100])
def test_the_frame_taken_holds_the_middle_of_its_part(length: int) -> None:
    found = middles(tf.constant([length]), 8).numpy()[0]
    expected = np.floor((np.arange(8) + 0.5) * length / 8)
    np.testing.assert_array_equal(found, expected)


def test_rows_of_their_own_lengths_alone_and_together() -> None:
    sampler = FrameSampler(4, 8, seconds=1.0)
    together = sampler(*numbered(9, 2, 4, 1)).numpy()
    assert together.dtype == np.uint8
    assert together[:, :, 0, 0, 0].tolist() == [[2, 4, 6, 8], [1, 1, 2, 2], [1, 2, 3, 4], [1] * 4]
    for row, length in enumerate((9, 2, 4, 1)):
        np.testing.assert_array_equal(sampler(*numbered(length)).numpy()[0], together[row])


def test_no_frame_is_black_and_a_batch_may_have_none() -> None:
    sampler = FrameSampler(3, 8, seconds=1.0)
    frames, _ = numbered(5, 5)
    assert not sampler(frames, tf.constant([0, 5])).numpy()[0].any()
    nothing = sampler(tf.zeros([2, 0, 6, 6, 3], tf.uint8), tf.constant([0, 0]))
    assert nothing.shape == (2, 3, 8, 8, 3)
    assert not nothing.numpy().any()


def test_scaling_takes_means_and_leaves_its_own_size_alone() -> None:
    sampler = FrameSampler(2, 8, seconds=1.0)
    draw = np.random.default_rng(0)
    same = draw.integers(0, 256, (1, 2, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(sampler(tf.constant(same), tf.constant([2])), same)
    # Stripes of one pixel alias to black or white unless pixels are averaged.
    stripes = np.zeros((1, 2, 64, 48, 3), np.uint8)
    stripes[:, :, ::2] = 255
    inner = sampler(tf.constant(stripes), tf.constant([2])).numpy()[0, :, 1:-1]
    assert abs(inner.astype(int) - 127).max() <= 4


def test_training_draws_any_frame_of_each_part_and_answers_take_the_middle() -> None:
    layer = RandomFrames(4, seed=1, dtype="uint8")
    frames, _ = numbered(*[12] * 200)
    drawn = layer(frames, training=True).numpy()[:, :, 0, 0, 0]
    for part in range(4):
        assert set(drawn[:, part]) == {3 * part + 1, 3 * part + 2, 3 * part + 3}
    assert layer(frames).numpy()[0, :, 0, 0, 0].tolist() == [2, 5, 8, 11]
    again = RandomFrames(4, seed=1, dtype="uint8")(frames, training=True).numpy()[:, :, 0, 0, 0]
    np.testing.assert_array_equal(drawn, again)


@pytest.mark.parametrize("training", [False, True])
def test_as_many_frames_as_asked_for_stay_as_they_are(training: bool) -> None:
    frames, _ = numbered(4, 4)
    np.testing.assert_array_equal(RandomFrames(4, dtype="uint8")(frames, training=training), frames)
