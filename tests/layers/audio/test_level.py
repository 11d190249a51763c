"""Level normalisation: what is subtracted, what cancels, and that streams give the same."""

from __future__ import annotations

import chunks
import keras
import numpy as np
import pytest

from apps.layers.audio.level import LevelNormalization
from apps.layers.audio.spectrogram import LogMel

LENGTHS = np.array([23, 1, 14], np.int32)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Logarithms of powers, none below the floor of 1e-7."""
    drawn = np.random.default_rng(0).uniform(np.log(1e-7), 2, (3, 23, 5)).astype(np.float32)
    for row, length in enumerate(LENGTHS):
        drawn[row, length:] = 0
    return drawn


def test_the_loudest_of_the_last_frames_is_subtracted(features: np.ndarray) -> None:
    found = LevelNormalization(4)(features, LENGTHS).numpy()
    for row, length in enumerate(LENGTHS):
        levels = np.log(np.exp(features[row]).mean(-1))
        for frame in range(length):
            expected = features[row, frame] - levels[max(0, frame - 3) : frame + 1].max()
            np.testing.assert_allclose(found[row, frame], expected, atol=1e-5)
        assert not found[row, length:].any()


def test_what_is_amplified_gives_the_same() -> None:
    time = np.arange(4000) / 8000
    sound = (0.02 * np.sin(2000 * time**1.5) * (1 + time)).astype(np.float32)
    mel = LogMel(8000, bands=20)
    spectra, frames = mel(np.stack([sound, 30 * sound]), np.full(2, 4000, np.int32))
    quiet, loud = LevelNormalization(50)(spectra, frames).numpy()
    strong = quiet > -3
    assert strong.mean() > 0.1
    np.testing.assert_allclose(loud[strong], quiet[strong], atol=0.05)


@pytest.mark.parametrize("most", [1, 9])
def test_chunks_give_what_the_whole_gives(features: np.ndarray, most: int) -> None:
    layer = LevelNormalization(6)
    whole = layer(features, LENGTHS).numpy()
    found = chunks.outputs(layer.step, layer.state_specs(), features, LENGTHS, most=most)
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(found[row], whole[row, :length], atol=1e-5)


def test_a_functional_model_with_it_is_saved_and_loaded(tmp_path, features: np.ndarray) -> None:
    x = keras.Input((None, 5), name="features")
    n = keras.Input((), dtype="int32", name="lengths")
    model = keras.Model([x, n], LevelNormalization(3, floor=1e-6)(x, n))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded([features, LENGTHS]), model([features, LENGTHS]))


@pytest.mark.parametrize(("window", "floor"), [(0, 1e-7), (3, 0.0)])
def test_settings_out_of_range_are_refused(window: int, floor: float) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        LevelNormalization(window, floor=floor)
