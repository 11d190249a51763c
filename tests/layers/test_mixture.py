"""The mixture of models: weights that held-out rows choose, never worse than any part alone."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from apps.layers.mixture import Mixture

DRAW = np.random.default_rng(0)
TARGETS = DRAW.integers(0, 2, 400)
# Right three times out of four, and as sure as that.
HIT = np.where(DRAW.random(400) < 0.75, 1.0, -1.0)[:, None]
GOOD = HIT * np.log(3) * (np.eye(2)[TARGETS] - 0.5)
NOISE = DRAW.normal(0, 3, (400, 2))


def cross_entropy(logits: np.ndarray) -> float:
    return -float(log_softmax(logits, -1)[np.arange(400), TARGETS].mean())


def test_unset_it_is_the_sum() -> None:
    parts = [np.float32(GOOD), np.float32(NOISE)]
    np.testing.assert_allclose(Mixture((1.0, 1.0))(parts), parts[0] + parts[1], rtol=1e-6)


def test_where_the_first_part_learns_alone_the_others_are_averaged_in_afterwards() -> None:
    parts = [np.float32(GOOD), np.float32(NOISE)]
    mixture = Mixture((0.5, 0.5), apart=True)
    np.testing.assert_array_equal(mixture(parts, training=True), parts[0])
    np.testing.assert_allclose(mixture(parts), (parts[0] + parts[1]) / 2, rtol=1e-6)
    sure = np.stack([GOOD, GOOD])
    assert mixture.choose(sure, TARGETS, fitted=False).tolist() == [0.5, 0.5]
    again = Mixture.from_config(mixture.get_config())
    np.testing.assert_array_equal(again(parts, training=True), parts[0])


@pytest.mark.parametrize("fitted", [False, True])
def test_a_part_that_knows_nothing_loses_its_weight(fitted: bool) -> None:
    mixture = Mixture((1.0, 1.0))
    shares = mixture.choose(np.stack([NOISE, GOOD]), TARGETS, fitted=fitted)
    np.testing.assert_allclose(mixture.shares.numpy(), shares, rtol=1e-6)
    assert shares[0] < 0.1 < shares[1]
    mixed = cross_entropy(shares[0] * NOISE + shares[1] * GOOD)
    assert mixed <= cross_entropy(GOOD) < cross_entropy(NOISE + GOOD)


def test_parts_that_are_best_together_stay_together() -> None:
    halves = np.stack([GOOD / 2, GOOD / 2])
    shares = Mixture((1.0, 1.0)).choose(halves, TARGETS, fitted=False)
    assert shares.tolist() == [1.0, 1.0]


def test_a_handful_of_rows_does_not_decide_against_the_sum() -> None:
    sure = np.stack([4.0 * np.eye(2)[TARGETS[:3]], np.zeros((3, 2))])
    shares = Mixture((1.0, 1.0)).choose(sure, TARGETS[:3], fitted=True)
    assert 0.5 < shares.min() < shares.max() < 2.0


def test_its_weights_are_saved(tmp_path: Path) -> None:
    inputs = [keras.Input((2,)), keras.Input((2,))]
    mixture = Mixture((1.0, 1.0), name="mixture")
    model = keras.Model(inputs, mixture(inputs))
    mixture.choose(np.stack([NOISE, GOOD]), TARGETS, fitted=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    rows = [np.float32(NOISE), np.float32(GOOD)]
    np.testing.assert_array_equal(loaded(rows), model(rows))
