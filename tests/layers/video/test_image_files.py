"""Clips whose frames are image files: decoded inside the graph, alone and together."""

from __future__ import annotations

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from apps.layers.video.image_files import decode_images
from apps.layers.video.sampling import FrameSampler

SAMPLER = FrameSampler(4, 8, seconds=1.0)


def file(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format=kind)
    return content.getvalue()


def test_lists_of_unequal_length_hold_what_their_files_hold() -> None:
    draw = np.random.default_rng(0)
    frames = draw.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    files = [file(frame) for frame in frames]
    batch = tf.constant([files, [*files[:4], b"", b""], [b""] * 6])
    found, lengths = tf.function(decode_images, autograph=False)(batch, SAMPLER)
    assert lengths.numpy().tolist() == [4, 4, 0]
    np.testing.assert_array_equal(found[0], frames[[0, 2, 3, 5]])
    np.testing.assert_array_equal(found[1], frames[:4])
    assert not found[2].numpy().any()


def test_jpegs_of_any_size_are_scaled() -> None:
    wide = file(np.full((30, 50, 3), (200, 90, 20), np.uint8), "JPEG")
    small = file(np.full((3, 2), 77, np.uint8), "JPEG")
    found, _ = decode_images(tf.constant([[wide, wide], [small, small]]), SAMPLER)
    assert found.shape == (2, 4, 8, 8, 3)
    assert abs(found.numpy()[0].astype(int) - (200, 90, 20)).max() <= 3
    assert abs(found.numpy()[1].astype(int) - 77).max() <= 2


def test_an_empty_list_is_a_clip_without_frames() -> None:
    found, lengths = decode_images(tf.zeros([2, 0], tf.string), SAMPLER)
    assert lengths.numpy().tolist() == [0, 0]
    assert found.shape == (2, 4, 8, 8, 3)
