"""Texts as characters and words, and back."""

from __future__ import annotations

import itertools
import re
import unicodedata

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers import text_tokens
from apps.layers.text_tokens import CharacterTokens, TextTokens, WordTokens, parted_by
from apps.layers.token_layer import UNKNOWN

ODD = [
    "",
    " ",
    "one line",
    "two\nlines\n\n and  spaces\t.",
    "Old\r\nends\rof lines",
    "e\u0301 日本語 สวัสดี 👩\u200d💻\u00a0x <br/>'quoted' don’t",
    "نص من اليمين שלום",
    "\ue000private",
]


def joined(tokens: TextTokens, ids: np.ndarray) -> str:
    """The text of ids, a word's space left out at the beginning of a line."""
    text = "".join(tokens.texts[token] for token in ids)
    return re.sub(r"(^|\n) ", r"\1", text) if tokens.spaced else text


def expected(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


@pytest.mark.parametrize(
    "tokens",
    [
        CharacterTokens.adapt(ODD, 1000),
        WordTokens.adapt(ODD, 1000, "marks"),
        WordTokens.adapt(ODD, 1000, "spaces"),
        WordTokens.adapt(ODD, 1000, "marks", lower=True),
        CharacterTokens.adapt(["other letters"], 1000),
    ],
    ids=["characters", "marks", "spaces", "lower", "unknown"],
)
def test_ids_inside_the_graph_are_those_outside_it(tokens: TextTokens) -> None:
    ids, offsets = tokens.flat(ODD)
    inside = tokens(tf.constant(ODD))
    for row, (a, b) in enumerate(itertools.pairwise(offsets)):
        length = int(inside["lengths"][row])
        np.testing.assert_array_equal(inside["ids"][row, :length], ids[a:b])
    again = type(tokens).from_config(tokens.get_config())
    np.testing.assert_array_equal(again.flat(ODD)[0], ids)


@pytest.mark.parametrize("kind", [CharacterTokens, WordTokens])
def test_texts_come_back_to_the_letter(kind: type[TextTokens]) -> None:
    known = [text for text in ODD if "\ue000" not in text]
    tokens = kind.adapt(known, 1000, **({"between": "marks"} if kind is WordTokens else {}))
    ids, offsets = tokens.flat(known)
    for row, text in enumerate(known):
        assert joined(tokens, ids[offsets[row] : offsets[row + 1]]) == expected(text)


def test_what_training_did_not_see_is_unknown_and_stays_one_token_each() -> None:
    characters = CharacterTokens.adapt(["aab"], 1000)
    assert characters.flat(["axb"])[0].tolist() == [4, UNKNOWN, 5]
    words = WordTokens.adapt(["the old king", "the king"], 2, "marks")
    assert words.vocabulary == [" king", " the"]
    assert words.flat(["the new king"])[0].tolist() == [5, UNKNOWN, 4]


def test_words_that_are_parted_by_spaces_are_recognised() -> None:
    news = (
        "no it was n't black monday \n but while the n.y. exchange did n't fall <unk> N points \n"
    )
    assert parted_by([news]) == "spaces"
    tokens = WordTokens.adapt([news], 1000)
    assert tokens.between == "spaces"
    spelt = [tokens.texts[token] for token in tokens.flat([news])[0]]
    assert spelt == [" " + w if w != "\n" else w for w in re.findall(r"\S+|\n", news)]
    assert parted_by(["The king, who was old, slept. Nobody woke him.\n"]) == "marks"


def test_a_long_text_is_cut_between_words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(" ".join(f"word{i}" for i in range(n)) for n in (3, 40, 1, 25)) + "\n x"
    tokens = WordTokens.adapt([text], 1000, "marks")
    whole = tokens.flat([text])[0]
    assert joined(tokens, whole) == text
    for size in (12, 17, 50):
        monkeypatch.setattr(text_tokens, "_BLOCK", size)
        np.testing.assert_array_equal(tokens.flat(["", text, ""])[0], whole)
        assert tokens.flat(["", text, ""])[1].tolist() == [0, 0, len(whole), len(whole)]


def test_tokens_come_back_from_a_file(tmp_path) -> None:
    tokens = WordTokens.adapt(ODD, 1000, name="tokens")
    raw = keras.Input((), dtype="string", name="text")
    keras.Model(raw, tokens(raw)).save(tmp_path / "tokens.keras")
    loaded = keras.models.load_model(tmp_path / "tokens.keras")
    np.testing.assert_array_equal(loaded(tf.constant(ODD))["ids"], tokens(tf.constant(ODD))["ids"])
