"""Steps made of frames: differences and pictures, whole and as a stream."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.video.motion import MOTIONS, FrameMotion


def clip(rows: int = 3, time: int = 9) -> np.ndarray:
    return np.random.default_rng(0).random((rows, time, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("motion", MOTIONS)
def test_chunks_of_a_stream_give_the_steps_of_the_whole(motion: str) -> None:
    layer, frames = FrameMotion(motion), clip()
    whole = layer(frames).numpy()
    assert whole.shape == (3, 8, 8, 8, layer.channels)
    state = {n: tf.zeros([3, *shape], dtype) for n, (shape, dtype) in layer.state_specs(8).items()}
    found: list[list[np.ndarray]] = [[], [], []]
    # The second row pauses for a while: its frames come later.
    taken = [0, 0, 0]
    for first, last in itertools.pairwise([0, 0, 1, 2, 6, 9, 9]):
        size = last - first
        lengths = [size, size if first else 0, size]
        chunk = np.zeros((3, size, 8, 8, 3), np.float32)
        for row, length in enumerate(lengths):
            chunk[row, :length] = frames[row, taken[row] : taken[row] + length]
            taken[row] += length
        steps, counts, state = layer.step(tf.constant(chunk), tf.constant(lengths), state)
        for row, count in enumerate(counts.numpy()):
            found[row] += list(steps.numpy()[row, :count])
    for row in (0, 2):
        np.testing.assert_allclose(np.stack(found[row]), whole[row], atol=1e-6)
    np.testing.assert_allclose(np.stack(found[1]), whole[1][: taken[1] - 1], atol=1e-6)


def test_a_still_picture_has_no_motion_and_a_faint_one_as_much_as_a_strong_one() -> None:
    still = np.repeat(clip(1, 1), 4, 1)
    for motion in ("difference", "flow"):
        assert not FrameMotion(motion)(still).numpy().any()
    moving = clip(1, 4) * 0.2 + 0.4
    strong, faint = (
        FrameMotion("difference")(0.5 + (moving - 0.5) * by).numpy() for by in (1.0, 0.5)
    )
    ratio = np.abs(strong[..., :3]).mean() / np.abs(faint[..., :3]).mean()
    assert 1.0 < ratio < 1.15
    assert (strong[..., 3] > faint[..., 3]).all()


def test_flow_is_the_shift_of_edges_whatever_their_brightness() -> None:
    places = np.arange(32)
    waves = np.sin(2 * np.pi * (places[None, None, :] - 0.5 * np.arange(4)[:, None, None]) / 16)
    right = np.broadcast_to(waves[..., None], (4, 32, 32, 3)).astype(np.float32)
    layer = FrameMotion("flow")
    for picture, sign in ((right, 1), (-right, 1), (right[::-1], -1)):
        steps = layer(0.5 + 0.4 * picture[None]).numpy()
        edges = np.abs(steps[..., 0]) > 0.2
        assert edges.mean() > 0.3
        # Half a pixel a step, less where the slope is small.
        assert np.median(steps[..., 0][edges]) == pytest.approx(0.45 * sign, abs=0.06)
        assert np.abs(steps[..., 1]).max() < 1e-5
        turned = layer(0.5 + 0.4 * picture.transpose(0, 2, 1, 3)[None]).numpy()
        np.testing.assert_allclose(turned[..., 1], steps[..., 0].transpose(0, 1, 3, 2), atol=1e-5)


def test_pictures_alone_do_not_hang_on_the_light() -> None:
    frames = clip() * 0.5
    layer = FrameMotion("picture")
    np.testing.assert_allclose(layer(frames + 0.3), layer(frames), atol=1e-5)


def test_an_unknown_motion_is_refused() -> None:
    with pytest.raises(ValueError, match="motion must be one of"):
        FrameMotion("optical")
