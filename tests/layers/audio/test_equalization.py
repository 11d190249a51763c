"""Random equalisation: equal in all frames of a row, smooth over bands, of the set strength."""

from __future__ import annotations

import numpy as np
import pytest

from apps.layers.audio.equalization import RandomEqualization

LENGTHS = np.array([7, 1, 4] * 100, np.int32)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    drawn = np.random.default_rng(0).normal(-5, 2, (300, 7, 21)).astype(np.float32)
    for row, length in enumerate(LENGTHS):
        drawn[row, length:] = 0
    return drawn


def test_frames_of_a_row_are_shifted_alike_and_rows_differ(features: np.ndarray) -> None:
    changed = RandomEqualization(4.0, seed=1)(features, LENGTHS, training=True).numpy()
    gains = changed[:, 0] - features[:, 0]
    for row, length in enumerate(LENGTHS):
        expected = features[row, :length] + gains[row]
        np.testing.assert_allclose(changed[row, :length], expected, atol=1e-5)
        assert not changed[row, length:].any()
    # 4 dB are a factor of 10 ** 0.4 in power.
    assert gains[:, ::4].std() == pytest.approx(0.4 * np.log(10), rel=0.1)
    # Six points over 21 bands: four straight pieces of four bands each lie between them.
    np.testing.assert_allclose(gains[:, 2], (gains[:, 0] + gains[:, 4]) / 2, atol=1e-4)


def test_one_seed_gives_one_draw(features: np.ndarray) -> None:
    one, other = (RandomEqualization(seed=2)(features, LENGTHS, training=True) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("decibels", "training"), [(0.0, True), (4.0, False)])
def test_nothing_changes_without_strength_or_training(
    features: np.ndarray, decibels: float, training: bool
) -> None:
    same = RandomEqualization(decibels)(features, LENGTHS, training=training)
    np.testing.assert_array_equal(same, features)


def test_settings_travel_and_wrong_ones_are_refused() -> None:
    config = RandomEqualization(3.0, points=4, seed=5).get_config()
    assert RandomEqualization.from_config(config).get_config() == config
    with pytest.raises(ValueError, match="points 1 at least 2"):
        RandomEqualization(points=1)
