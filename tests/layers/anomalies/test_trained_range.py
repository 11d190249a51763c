"""Where training rows lay, and how rare it was that they lay further away."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.anomalies.error_tails import ErrorTails
from apps.layers.anomalies.trained_range import TrainedRange, of_one_kind

CHANNELS = 3


def related(seed: int, rows: int = 4000) -> np.ndarray:
    """Three channels, of which the third is nearly the sum of the others; and holes."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(rows, CHANNELS)) * [1.0, 10.0, 0.0]
    found[:, 2] = found[:, 0] + found[:, 1] / 10.0 + 0.1 * draw.normal(size=rows)
    found += [1e6, 0.0, -3.0]
    found[draw.random(found.shape) < 0.01] = np.nan
    return found


@pytest.fixture(scope="module")
def layer() -> TrainedRange:
    found = TrainedRange(CHANNELS, name="range")
    found.build()
    found.adapt([related(0), related(1)])
    found.factor.assign(1.0)
    return found


def rarity(layer: TrainedRange, rows: np.ndarray) -> np.ndarray:
    zeros = tf.zeros((1, *rows.shape), tf.float32)
    state = tf.zeros((1, CHANNELS), tf.float64)
    found = layer(zeros, tf.constant(rows[None]), tf.constant([len(rows)]), state)
    np.testing.assert_array_equal(found[0], found[1])
    return found[1].numpy()[0]


def test_as_many_rows_are_rare_as_it_says(layer: TrainedRange) -> None:
    found = np.concatenate([rarity(layer, related(seed)) for seed in range(2, 12)])
    # Each channel is judged twice.
    share = (found >= 2.5).mean() / (2 * 10**-2.5)
    assert 0.3 < share < 2.0
    assert layer.holds(found.max(-1))


def test_a_level_that_was_never_there_is_rare_as_long_as_it_lasts(layer: TrainedRange) -> None:
    rows = related(20, 600)
    rows[200:400, 1] += 60.0
    found = rarity(layer, rows)
    assert np.nanmin(np.where(np.isnan(rows[210:400, 1]), np.nan, found[210:400, 1])) > 4
    assert found[:200].max() < 4
    assert found[420:].max() < 4
    assert not layer.holds(found.max(-1))


def test_a_lost_relation_is_rare_where_each_channel_is_usual(layer: TrainedRange) -> None:
    rows = related(21, 600)
    rows[200:400, 2] = -6.0 - rows[200:400, 2]
    found = rarity(layer, rows)
    assert (found[210:400].max(-1) > 4).mean() > 0.3
    assert (found[:200].max(-1) > 4).mean() == 0


def test_the_channel_that_left_is_blamed_not_those_related_to_it(layer: TrainedRange) -> None:
    for channel, jump in enumerate((20.0, 200.0, 20.0)):
        rows = related(22, 200)
        rows[100:110, channel] += jump
        found = rarity(layer, rows)[100:110]
        blamed = np.argmax(found, -1)[np.isfinite(rows[100:110]).all(-1) & (found.max(-1) > 4)]
        assert len(blamed) > 5
        assert (blamed == channel).all()


def test_pieces_of_a_stream_give_what_the_whole_gives(layer: TrainedRange) -> None:
    rows = related(3, 300)
    whole = rarity(layer, rows)
    state, parts = tf.zeros((1, CHANNELS), tf.float64), []
    for start, stop in ((0, 1), (1, 130), (130, 300)):
        # Something other than nothing is in the padding.
        piece = np.pad(rows[None, start:stop], [(0, 0), (0, 2), (0, 0)], constant_values=1e9)
        zeros = tf.zeros(piece.shape, tf.float32)
        found = layer(zeros, tf.constant(piece), tf.constant([stop - start]), state)
        parts.append(found[1].numpy()[0, :-2])
        state = found[2]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-6, atol=1e-6)


def test_the_larger_score_counts_and_only_where_the_layer_is_used(layer: TrainedRange) -> None:
    rows = related(4, 50)
    rows[30:] += 1e3
    other = tf.fill((1, *rows.shape), 7.0)
    given = tf.constant(rows[None]), tf.constant([50]), tf.zeros((1, CHANNELS), tf.float64)
    found, own, _ = layer(other, *given)
    np.testing.assert_array_equal(found, np.maximum(own, 7.0))
    assert found.numpy().max() > 7
    layer.factor.assign(0.0)
    np.testing.assert_array_equal(layer(other, *given)[0], other)
    layer.factor.assign(1.0)


def test_it_is_saved(layer: TrainedRange, tmp_path: Path) -> None:
    series = keras.Input((None, CHANNELS), dtype="float64")
    score = keras.Input((None, CHANNELS))
    lengths, state = keras.Input((), dtype="int32"), keras.Input((CHANNELS,), dtype="float64")
    given = [score, series, lengths, state]
    keras.Model(given, layer(*given)).save(tmp_path / "range.keras")
    loaded = keras.saving.load_model(tmp_path / "range.keras").get_layer("range")
    rows = related(5, 100)
    np.testing.assert_array_equal(rarity(loaded, rows), rarity(layer, rows))


def test_sensors_of_one_kind() -> None:
    draw = np.random.default_rng(0)
    alike = [draw.normal(level, 1.0, (300, 2)) for level in (0.0, 0.5, -0.5)]
    assert of_one_kind(alike)
    assert of_one_kind(alike[:1])
    assert not of_one_kind([one * 10.0**n for n, one in enumerate(alike)])
    assert not of_one_kind([one + 100.0 * n for n, one in enumerate(alike)])
    assert not of_one_kind([np.full((5, 2), np.nan)])


def test_errors_in_pieces_are_observed_as_in_one() -> None:
    draw = np.random.default_rng(0)
    errors, known = draw.exponential(size=(500, 2)), draw.random((500, 2)) > 0.2
    one, two = ErrorTails(2), ErrorTails(2)
    for layer in (one, two):
        layer.build()
    assert not one.seen
    otherwise = tf.fill((1, 500, 2), 3.0)
    np.testing.assert_array_equal(one(errors[None], known[None], otherwise), otherwise)
    one.observe(errors, known)
    for rows in np.split(np.arange(500), [1, 7, 400]):
        two.observe(errors[rows], known[rows])
    np.testing.assert_array_equal(one.largest, two.largest)
    np.testing.assert_array_equal(one.count, known.sum(0))
    largest = np.sort(np.where(known, errors, 0.0), 0)[::-1][:32]
    np.testing.assert_array_equal(one.largest, largest.T)
    found = one(errors[None] * 3, known[None], otherwise).numpy()
    assert found.max() > 2.5
    assert not found[0][~known].any()
