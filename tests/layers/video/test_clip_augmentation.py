"""Changes of clips in training: whole clips alike, rows by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.layers.video.augmentation import ClipAugmentation


def clips(rows: int = 60) -> np.ndarray:
    """A bright square on dark ground, left of the middle; all frames of a clip are equal."""
    frames = np.full((rows, 3, 20, 20, 3), 40, np.uint8)
    frames[:, :, 8:12, 4:8] = 200
    return frames


def places(changed: np.ndarray) -> np.ndarray:
    """Top and left of the bright square in the first frame of each clip."""
    bright = changed[:, 0, :, :, 0] > changed[:, 0, :, :, 0].mean((1, 2), keepdims=True)
    return np.array([np.argwhere(one).min(0) for one in bright])


def test_all_frames_of_a_clip_change_alike_and_clips_differ() -> None:
    changed = ClipAugmentation(0.1, seed=0)(clips(), training=True).numpy()
    np.testing.assert_array_equal(changed[:, 1:], np.repeat(changed[:, :1], 2, 1))
    assert len({row.tobytes() for row in changed}) == len(changed)


def test_clips_are_shifted_and_mirrored_within_bounds() -> None:
    found = places(ClipAugmentation(0.1, contrast=0, seed=0)(clips(300), training=True).numpy())
    assert set(found[:, 0]) == set(range(6, 11))
    assert set(found[:, 1]) == {*range(2, 7), *range(10, 15)}
    straight = ClipAugmentation(0.1, mirror=False, contrast=0, seed=0)(clips(300), training=True)
    assert set(places(straight.numpy())[:, 1]) == set(range(2, 7))


def test_contrast_and_brightness_change() -> None:
    layer = ClipAugmentation(0, mirror=False, contrast=0.4, seed=0)
    changed = layer(clips(400), training=True).numpy()
    spread = (changed.max((1, 2, 3, 4)) - changed.min((1, 2, 3, 4))) / (160 / 255)
    assert spread.min() == pytest.approx(0.6, abs=0.02)
    assert spread.max() == pytest.approx(1.4, abs=0.02)
    middle = (changed.max((1, 2, 3, 4)) + changed.min((1, 2, 3, 4))) / 2
    assert 0.1 < middle.std() < 0.13


@pytest.mark.parametrize(
    ("settings", "training"), [({}, False), ({"shift": 0, "mirror": False, "contrast": 0}, True)]
)
def test_otherwise_bytes_are_only_scaled(settings: dict[str, Any], training: bool) -> None:
    same = ClipAugmentation(**settings)(clips(), training=training)
    np.testing.assert_allclose(same, clips() / 255, atol=1e-7)


def test_settings_travel() -> None:
    config = ClipAugmentation(0.2, mirror=False, contrast=0.1, seed=3).get_config()
    assert ClipAugmentation.from_config(config).get_config() == config
