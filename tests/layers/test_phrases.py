"""Phrases of lists: the longest one counts, in its own text, in every list by itself."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.local_scores import NOTHING, LocalScores
from apps.layers.phrases import BEGINS, GOES_ON, NONE, Phrases
from apps.layers.token_features import TokenFeatures
from apps.layers.words import ListVectors

LINES = "york\t0\nnew york\t0\nnew york times\t1\ntimes square\t0,1\nst . louis\t0\nann\t1\n"
TEXTS = ["Ann saw New York Times Square", "", "in York", "new", "york St. Louis, ann", "NEW YORK"]
N, B, G = NONE, BEGINS, GOES_ON
PLACES = [[N, N, B, G, B, G], [N], [N, B], [N], [B, B, G, G, N, N], [B, G]]
OTHERS = [[B, N, B, G, B, G], [N], [N, N], [N], [N, N, N, N, N, B], [N, N]]


@pytest.fixture(scope="module")
def features() -> TokenFeatures:
    return TokenFeatures.adapt(
        TEXTS,
        100,
        6,
        letters=False,
        lists={
            "lists": ["place", "other"],
            "lines": LINES,
        },
        name="tokens",
    )


def test_the_longest_phrase_counts_and_none_reaches_into_the_next_text(
    features: TokenFeatures,
) -> None:
    codes = features(tf.constant(TEXTS))["lists"].numpy()
    lengths = [len(row) for row in PLACES]
    for number, expected in enumerate((PLACES, OTHERS)):
        found = [codes[row, :length, number].tolist() for row, length in enumerate(lengths)]
        assert found == expected
    assert not any(codes[row, length:].any() for row, length in enumerate(lengths))


def test_a_batch_a_model_and_a_loaded_layer_say_what_stands_outside_the_graph(
    features: TokenFeatures,
) -> None:
    flat, offsets = features.flat(TEXTS)
    texts = keras.Input((), dtype="string")
    model = keras.Model(texts, features(texts))
    again = TokenFeatures.from_config(features.get_config())
    assert features.inputs[-1] == "lists"
    for layer in (features, model, again):
        codes = layer(tf.constant(TEXTS))["lists"].numpy()
        for row, (start, stop) in enumerate(itertools.pairwise(offsets)):
            np.testing.assert_array_equal(codes[row, : stop - start], flat["lists"][start:stop])


def test_no_texts_and_texts_without_words_have_no_phrases(features: TokenFeatures) -> None:
    assert features.flat([])[0]["lists"].shape == (0, 2)
    assert features(tf.constant([""]))["lists"].numpy().tolist() == [[[N, N]]]


def test_a_chain_of_overlapping_phrases() -> None:
    phrases = Phrases(["one"], "a b c\t0\nc d\t0\nd e\t0\n")
    words = tf.constant([*"abcde", *"ab", *"cd"])
    rows = tf.constant([0] * 5 + [1] * 2 + [2] * 2, tf.int64)
    assert phrases.longest == 3
    # What begins within an earlier phrase and ends behind it begins a phrase of its own.
    assert phrases.codes(words, rows)[:, 0].numpy().tolist() == [B, G, B, B, G, N, N, B, G]


def test_letters_as_tokens() -> None:
    phrases = {"lists": ["place"], "lines": "서 울\t0\n울\t0\n"}
    features = TokenFeatures.adapt(["서울에"], 9, 6, letters=True, lists=phrases, name="tokens")
    assert features(tf.constant(["서울에"]))["lists"][0, :, 0].numpy().tolist() == [B, G, N]


def test_what_a_client_needs_is_written_down(features: TokenFeatures) -> None:
    outside = features.outside()
    assert outside.files["lists.tsv"] == LINES
    assert '"lists": ["place", "other"]' in outside.metadata["tokens"]
    assert "lists.tsv" in outside.words


def test_words_in_no_list_add_nothing_to_linear_scores() -> None:
    layer = LocalScores(2**16, 3, rare_from=50, unknown=1)
    ids, casing = tf.constant([[5, 6, 7, 8, 9]]), tf.constant([[3, 3, 5, 3, 3]])
    characters = tf.zeros((1, 5, 4), tf.int32)
    lists = np.zeros((1, 5, 2), np.int32)
    plain = layer.features(ids, characters, casing).numpy()
    without = layer.features(ids, characters, casing, tf.constant(lists)).numpy()
    np.testing.assert_array_equal(without[:, :, : plain.shape[2]], plain)
    assert (without[:, :, plain.shape[2] :] == NOTHING).all()
    assert (plain != NOTHING).all()
    lists[0, 2, 1] = BEGINS
    held = layer.features(ids, characters, casing, tf.constant(lists)).numpy() != without
    # The token and its neighbours know.
    assert held.any(2)[0].tolist() == [False, True, True, True, False]


def test_vectors_tell_lists_and_codes_apart() -> None:
    layer = ListVectors(3)
    codes = tf.constant([[[0, 0], [1, 0], [0, 1], [2, 0], [1, 0]]])
    vectors = layer(codes).numpy()
    assert vectors.shape == (1, 5, 6)
    assert len({tuple(row) for row in vectors[0].round(6).tolist()}) == 4
    np.testing.assert_array_equal(vectors[0, 1], vectors[0, 4])
    np.testing.assert_array_equal(vectors[0, 0, 3:], vectors[0, 1, 3:])
