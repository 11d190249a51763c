"""Words by their letters, and rare words forgotten."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from apps.layers.words import CharacterLSTM, ForgetRare


def test_a_words_vector_hangs_on_nothing_but_its_letters() -> None:
    layer = CharacterLSTM(10, 4, 3, seed=1)
    alone = layer(tf.constant([[[3, 5, 2, 0, 0]]])).numpy()
    others = layer(tf.constant([[[1, 1, 1, 1, 1], [3, 5, 2, 0, 0], [0, 0, 0, 0, 0]]])).numpy()
    assert alone.shape == (1, 1, 6)
    np.testing.assert_allclose(others[0, 1], alone[0, 0], atol=1e-6)
    assert np.abs(layer(tf.constant([[[2, 5, 3, 0, 0]]])).numpy() - alone).max() > 1e-3


def test_words_without_letters_are_read_too() -> None:
    states = CharacterLSTM(10, 4, 3, seed=1)(tf.zeros((2, 1, 5), tf.int32))
    assert np.isfinite(states.numpy()).all()


def forgetting(rate: float = 1.0) -> ForgetRare:
    return ForgetRare([10**6, 3, 1], first_id=2, unknown=1, rate=rate, seed=3)


def test_the_rarer_a_word_the_more_often_it_is_forgotten_in_training() -> None:
    ids = tf.constant(np.tile(np.arange(5), (2000, 1)), tf.int32)
    np.testing.assert_array_equal(forgetting()(ids, training=False), ids)
    found = forgetting()(ids, training=True).numpy()
    np.testing.assert_array_equal(found[:, :2], ids[:, :2])
    forgotten = found == 1
    assert ((found == ids.numpy()) | forgotten).all()
    np.testing.assert_allclose(forgotten.mean(0)[2:], [0, 1 / 4, 1 / 2], atol=0.04)
    np.testing.assert_array_equal(forgetting()(ids, training=True), found)
    np.testing.assert_array_equal(forgetting(rate=0)(ids, training=True), ids)
