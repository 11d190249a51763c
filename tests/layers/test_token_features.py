"""What a tagger reads of tokens: alike inside the graph and outside, for both Unicode forms."""

from __future__ import annotations

import unicodedata

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.token_features import PAD, UNKNOWN, TokenFeatures, folded_tokens

TEXTS = ["Ann paid 35 USD.", "café Café 17", "", "ann in 東京", "McDonald PAID"]


@pytest.fixture(scope="module")
def features() -> TokenFeatures:
    return TokenFeatures.adapt(TEXTS, 100, 6, letters=False, name="tokens")


def test_words_by_frequency_then_spelling_with_digits_alike(features: TokenFeatures) -> None:
    assert features.vocabulary[:4] == ["00", "ann", "café", "paid"]
    assert features.counts[:5] == [2, 2, 2, 2, 1]
    assert features.size == features.first_id + len(features.vocabulary)


def test_a_batch_holds_what_stands_outside_the_graph(features: TokenFeatures) -> None:
    batch = {name: value.numpy() for name, value in features(tf.constant(TEXTS)).items()}
    flat, offsets = features.flat(TEXTS)
    assert batch["lengths"].tolist() == np.diff(offsets).tolist() == [5, 3, 1, 4, 2]
    assert set(batch) == {*features.inputs, "lengths"}
    for name in features.inputs:
        for row, length in enumerate(batch["lengths"]):
            own = flat[name][offsets[row] : offsets[row + 1]]
            np.testing.assert_array_equal(batch[name][row, :length], own)
            assert not batch[name][row, length:].any()


def test_a_text_without_tokens_is_one_unknown_word_without_letters(features: TokenFeatures) -> None:
    batch = features(tf.constant(["", " \u200b "]))
    assert batch["ids"].numpy().tolist() == [[UNKNOWN]] * 2
    for name in ("characters", "casing", "starts", "ends"):
        assert (batch[name].numpy() == PAD).all()


@pytest.mark.parametrize("text", ["café Zürich", "한국 Ångström"])
def test_both_unicode_forms_give_the_same_words_at_their_own_places(text: str) -> None:
    features = TokenFeatures.adapt([text], 100, 12, letters=False, name="tokens")
    whole, parts = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert whole != parts
    one, other = (features(tf.constant([form])) for form in (whole, parts))
    for name in ("ids", "characters", "casing", "lengths"):
        np.testing.assert_array_equal(one[name], other[name])
    assert UNKNOWN not in other["ids"].numpy()
    assert other["ends"].numpy().max() == len(parts) > one["ends"].numpy().max()


@pytest.mark.parametrize(
    ("word", "casing"),
    [
        *(("paid", "lower"), ("Ann", "capital"), ("USD", "upper"), ("A", "capital")),
        *(("iPad", "mixed"), ("McDonald", "mixed"), ("35", "number"), ("3rd", "number")),
        *((".", "no letters"), ("東", "no letters"), ("É", "capital"), ("ÉTÉ", "upper")),
    ],
)
def test_casing(features: TokenFeatures, word: str, casing: str) -> None:
    names = ["pad", "no letters", "number", "lower", "upper", "capital", "mixed"]
    assert names[features(tf.constant([word]))["casing"].numpy()[0, 0]] == casing
    assert features.casings == len(names)


def test_long_words_keep_head_and_tail(features: TokenFeatures) -> None:
    def characters(word: str) -> list[int]:
        return features(tf.constant([word]))["characters"].numpy()[0, 0].tolist()

    assert characters("annpaidusd") == [*characters("ann")[:3], *characters("usd")[:3]]
    assert characters("annusd") == [*characters("ann")[:3], *characters("usd")[:3]]
    assert characters("an") == [*characters("ann")[:2], 0, 0, 0, 0]


def test_loaded_from_its_config_it_says_the_same(features: TokenFeatures) -> None:
    again = TokenFeatures.from_config(features.get_config())
    for name, value in features(tf.constant(TEXTS)).items():
        np.testing.assert_array_equal(again(tf.constant(TEXTS))[name], value)


def test_it_works_on_symbolic_texts(features: TokenFeatures) -> None:
    texts = keras.Input((), dtype="string")
    model = keras.Model(texts, features(texts))
    for name, value in features(tf.constant(TEXTS)).items():
        np.testing.assert_array_equal(model(tf.constant(TEXTS))[name], value)


def test_words_as_the_vocabulary_spells_them() -> None:
    found = list(folded_tokens(TEXTS[:3], letters=False))
    assert [words for words, _ in found] == [
        ["ann", "paid", "00", "usd", "."],
        ["café", "café", "00"],
        [],
    ]
    assert found[0][1].tolist() == [[0, 3], [4, 8], [9, 11], [12, 15], [15, 16]]
