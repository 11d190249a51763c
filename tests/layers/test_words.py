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


def test_only_rare_words_are_forgotten_and_only_in_training() -> None:
    ids = tf.constant(np.tile(np.arange(1, 11), (200, 1)), tf.int32)
    layer = ForgetRare(rare_from=6, unknown=1, rate=0.5, seed=3)
    np.testing.assert_array_equal(layer(ids, training=False), ids)
    found = layer(ids, training=True).numpy()
    np.testing.assert_array_equal(found[:, :5], ids[:, :5])
    forgotten = found[:, 5:] == 1
    assert ((found[:, 5:] == ids[:, 5:]) | forgotten).all()
    assert 0.42 < forgotten.mean() < 0.58
    again = ForgetRare(rare_from=6, unknown=1, rate=0.5, seed=3)(ids, training=True)
    np.testing.assert_array_equal(found, again)
