"""Warping of the frequency axis: tones move by one factor in all frames of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.audio.spectrogram import LogMel
from apps.layers.audio.vocal_tract import VocalTractWarp

RATE, ROWS = 8000, 40
RANGE: dict[str, Any] = {"low_hz": 20.0, "high_hz": 4000.0}


def tones(hertz: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Log-mel features of rows with one tone each, and their lengths."""
    wave = np.sin(2 * np.pi * hertz * np.arange(2000) / RATE).astype(np.float32)
    lengths = np.full(ROWS, 2000, np.int32)
    lengths[1] = 1000
    return LogMel(RATE, bands=80)(np.tile(wave, (ROWS, 1)) * 0.5, lengths)


def test_a_tone_moves_as_if_it_had_another_frequency() -> None:
    before, lengths = tones(1000.0)
    after = VocalTractWarp(0.25, seed=3, **RANGE)(before, lengths, training=True)
    peaks = after.numpy()[:, 3].argmax(-1)
    lowest, highest = (tones(hertz)[0].numpy()[0, 3].argmax() for hertz in (800.0, 1250.0))
    assert lowest <= peaks.min() < lowest + 4
    assert highest - 4 < peaks.max() <= highest
    assert len(set(peaks.tolist())) > 10
    # All frames of a row alike, and nothing beyond its length.
    assert (after.numpy()[0].argmax(-1) == peaks[0]).all()
    assert not after.numpy()[1, lengths[1] :].any()
    np.testing.assert_allclose(after.numpy().max(-1)[2], before.numpy().max(-1)[2], atol=1.0)


def test_one_seed_gives_one_draw() -> None:
    given = tones(500.0)
    one, other = (VocalTractWarp(0.2, seed=2, **RANGE)(*given, training=True) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("share", "training"), [(0.0, True), (0.2, False)])
def test_nothing_changes_without_strength_or_training(share: float, training: bool) -> None:
    features, lengths = tones(500.0)
    same = VocalTractWarp(share, **RANGE)(features, lengths, training=training)
    np.testing.assert_array_equal(same, features)


def test_settings_travel_and_wrong_ones_are_refused() -> None:
    config = VocalTractWarp(0.1, seed=5, **RANGE).get_config()
    assert VocalTractWarp.from_config(config).get_config() == config
    with pytest.raises(ValueError, match="share -1"):
        VocalTractWarp(-1, **RANGE)
