"""Texts to byte pairs and back, inside the graph and outside it."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import tensorflow as tf
from sentencepiece import SentencePieceProcessor

from apps.errors import UserError
from apps.layers import subwords
from apps.layers.subwords import Subwords
from apps.layers.token_layer import END, REPLACEMENT, UNKNOWN

TEXTS = [
    "the thin thief thanked them and the others",
    "their other brother bathes in the bath",
    "Äpfel kosten drei Euro, Bananen fünf",
    "これは日本語の文です。 ここに空白があります。",
    "привет мир, привет всем",
    "שלום עולם مرحبا بالعالم",
    "a <b> c 👩\u200d💻 e\u0301 ﬁ",
]
ODD = [
    "",
    " ",
    "\n\n",
    "a",
    "x\n y \n\n  z\t\n",
    "a\u2581b \u2585 <unk> <s> </s>",
    "q\0q \ufeff\u200b",
    "ℵ ℵℵ the ℵℶa",
    "x" * 350,
    "e\u0301" * 3 + "\u1100\u1161\u11a8",
]
LETTERS = sorted({c for text in TEXTS for c in text} | set("ℵqQ߷ ै"))


@pytest.fixture(scope="module")
def single() -> Subwords:
    return Subwords.adapt(TEXTS * 3, 260)


@pytest.fixture(scope="module")
def exact() -> Subwords:
    return Subwords.adapt([*TEXTS * 3, "the\nother\n"], 260, exact=True)


def random_texts(seed: int, spaces: str = " ") -> list[str]:
    draw = random.Random(seed)
    words = [word for text in TEXTS for word in text.split()]
    found = []
    for _ in range(60):
        parts = []
        for _ in range(draw.randrange(8)):
            if draw.random() < 0.5:
                parts.append(draw.choice(words))
            else:
                parts.append("".join(draw.choices(LETTERS, k=draw.randrange(1, 12))))
            parts.append(draw.choice(spaces))
        found.append("".join(parts))
    return found


def in_graph(layer: Subwords, texts: list[str]) -> dict[str, np.ndarray]:
    call = tf.function(layer.call, input_signature=[tf.TensorSpec([None], tf.string)])
    return {name: value.numpy() for name, value in call(tf.constant(texts)).items()}


@pytest.mark.parametrize("kind", ["single", "exact"])
def test_graph_and_python_give_equal_ids(kind: str, request: pytest.FixtureRequest) -> None:
    layer = request.getfixturevalue(kind)
    texts = [*TEXTS, *ODD, *random_texts(0, " \n\t ")]
    found = in_graph(layer, texts)
    ids, offsets = layer.flat(texts)
    unknown, starts = layer.flat_unknown(texts)
    for row, text in enumerate(texts):
        assert found["ids"][row, : found["lengths"][row]].tolist() == layer.encode(text), text
        assert ids[offsets[row] : offsets[row + 1]].tolist() == layer.encode(text)
        pairs = found["unknown"][row, : found["unknown_lengths"][row]]
        assert pairs.tolist() == unknown[starts[row] : starts[row + 1]].tolist(), text


def test_ids_are_those_of_the_library(single: Subwords) -> None:
    library = SentencePieceProcessor(model_proto=subwords.base64.b64decode(single.model))
    texts = random_texts(1)
    found = in_graph(single, texts)
    for row, text in enumerate(texts):
        plain = subwords.composed(" ".join(text.split()))
        theirs = library.encode("\u2581" + plain.replace(" ", "\u2581")) if plain else []
        ours = found["ids"][row, : found["lengths"][row]]
        assert [library.id_to_piece(i) for i in theirs if i] == [
            single.texts[i].replace(" ", "\u2581") for i in ours if i != UNKNOWN
        ]
        assert theirs.count(0) == ours.tolist().count(UNKNOWN)


@pytest.mark.parametrize("seed", range(3))
def test_exact_texts_come_back_to_the_letter(exact: Subwords, seed: int) -> None:
    for text in [*TEXTS, *ODD, *random_texts(seed, " \n\t ")]:
        text = subwords.composed(text)
        ids = exact.encode(text)
        unknown, _ = exact.flat_unknown([text])
        places = dict.fromkeys(unknown[:, 0].tolist())
        runs = ["".join(chr(c) for p, c in unknown if p == place) for place in places]
        assert exact.decode(ids, runs) == text
        replaced = np.full((1, max(len(ids), 1)), "", object)
        replaced[0, list(places)] = runs
        padded = np.zeros_like(replaced, np.int32)
        padded[0, : len(ids)] = ids
        back = exact(tf.constant(padded), replaced=tf.constant(replaced))
        assert back.numpy()[0].decode() == text


def test_single_spaces_stand_between_words(single: Subwords) -> None:
    assert single.decode(single.encode("  the\u3000other\x1f\n bath ")) == "the other bath"
    spaces = [chr(code) for code in range(sys.maxunicode) if chr(code).isspace()]
    found = in_graph(single, [f" a{space}b" for space in spaces])["ids"]
    assert found.tolist() == [single.encode("a b")] * len(spaces)


def test_words_are_pieces_and_characters_are_known(single: Subwords) -> None:
    assert single.size <= 260
    assert single.encode("the") == [single.texts.index(" the")]
    assert UNKNOWN not in [i for text in TEXTS for i in single.encode(text)]


def test_rare_characters_are_unknown_where_the_vocabulary_is_small() -> None:
    small = Subwords.adapt(TEXTS, 20)
    assert small.size <= 20
    assert UNKNOWN in small.encode(TEXTS[4])
    assert small.decode(small.encode("t日")) == f"t{REPLACEMENT}"
    assert small.decode(small.encode("t日"), ["日"]) == "t日"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_vocabulary_of_one_letter(size: int) -> None:
    layer = Subwords.adapt(["a"], size)
    assert layer.decode(layer.encode("a aaa")) == "a aaa"
    assert in_graph(layer, ["a b"])["ids"].tolist() == [layer.encode("a b")]


def test_texts_without_a_letter_are_refused() -> None:
    with pytest.raises(UserError, match="no text has a letter"):
        Subwords.adapt(["", " \n"], 100)


def test_ends_and_cuts_are_the_same_inside_and_outside() -> None:
    layer = Subwords.adapt(TEXTS, 120, ends=True, max_tokens=5)
    texts = [*TEXTS, *ODD, "ℵ b ℶ d ℷ f"]
    found = in_graph(layer, texts)
    unknown, starts = layer.flat_unknown(texts)
    for row, text in enumerate(texts):
        ids = found["ids"][row, : found["lengths"][row]].tolist()
        assert ids == layer.encode(text)
        assert ids[-1] == END
        assert len(ids) <= 5
        pairs = found["unknown"][row, : found["unknown_lengths"][row]]
        assert pairs.tolist() == unknown[starts[row] : starts[row + 1]].tolist()


def test_bytes_that_are_no_text_are_replaced(single: Subwords) -> None:
    call = tf.function(single.call, input_signature=[tf.TensorSpec([None], tf.string)])
    assert call(tf.constant([b"the \xff\xfe"]))["ids"].numpy().tolist() == [
        single.encode("the \ufffd\ufffd")
    ]


def test_config_and_graph_come_back(exact: Subwords, tmp_path) -> None:
    again = Subwords.from_config(exact.get_config())
    assert again.texts == exact.texts
    import keras

    text = keras.Input((), dtype="string")
    model = keras.Model(text, exact(exact(text)["ids"]))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    given = tf.constant(["the\n other", ""])
    assert loaded(given).numpy().tolist() == [b"the\n other", b""]
