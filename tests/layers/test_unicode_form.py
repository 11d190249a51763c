"""NFC inside the graph: the same characters as Python's, for every character and order of marks."""

from __future__ import annotations

import random
import sys
import unicodedata
from typing import Literal

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.text import WordIds, split_words
from apps.layers.unicode_form import compose, composed

# Neither surrogates nor characters of private use nor what Unicode has not assigned.
CHARACTERS = [
    letter
    for letter in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(letter) not in ("Cs", "Co", "Cn")
]
MARKS = [letter for letter in CHARACTERS if unicodedata.combining(letter)]
WHOLE = [
    letter
    for letter in CHARACTERS
    if unicodedata.decomposition(letter) and unicodedata.decomposition(letter)[0] != "<"
]
HANGUL = [chr(code) for code in (*range(0x1100, 0x1120), *range(0x1160, 0x1178), 0x11A7, 0x11A8)]
PARTS = [part for letter in WHOLE for part in unicodedata.normalize("NFD", letter)]

COMPOSE = tf.function(compose, input_signature=[tf.TensorSpec([None], tf.string)])


def check(texts: list[str]) -> None:
    found = [text.decode() for text in COMPOSE(tf.constant(texts, tf.string)).numpy()]
    wrong = [
        (ascii(text), ascii(got))
        for text, got in zip(texts, found, strict=True)
        if got != unicodedata.normalize("NFC", text)
    ]
    assert wrong[:5] == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_character(form: Literal["NFC", "NFD"]) -> None:
    # In one text, since the cost is that of the characters; beside letters they must not touch.
    check(["a".join(unicodedata.normalize(form, letter) for letter in CHARACTERS)])
    check([unicodedata.normalize(form, letter) for letter in WHOLE])


@pytest.mark.parametrize("seed", range(4))
def test_marks_in_any_order(seed: int) -> None:
    draw = random.Random(seed)
    frequent = [*"aeosAかα\u1100\u1161\u11a8각가", *"\u0301\u0300\u0302\u0323\u0345\u0313\u0308"]
    for pool in (frequent, [*WHOLE, *PARTS, *MARKS, *HANGUL * 40, *"aeiou" * 100]):
        check(["".join(draw.choices(pool, k=draw.randrange(12))) for _ in range(2000)])


@pytest.mark.parametrize("texts", [[], [""], ["\u0301"], ["a", "\u0301"], ["\0e\u0301\0"]])
def test_edges(texts: list[str]) -> None:
    check(texts)


def test_a_text_of_marks_alone() -> None:
    check(["e" + "\u0301\u0323" * 5000])


def test_what_needs_no_work_passes_untouched() -> None:
    texts = ["plain", "", "déjà vu 漢字 각 🙂"]
    assert COMPOSE(tf.constant(texts)).numpy().tolist() == [text.encode() for text in texts]


FRENCH = "Été à l'hôtel, très réussi; ÅNGSTRÖM Ǖ 각 が İ"


def test_words_are_the_same_in_both_forms() -> None:
    split = [
        split_words(tf.constant([unicodedata.normalize(form, FRENCH)])).to_list()
        for form in ("NFC", "NFD")
    ]
    assert split[0] == split[1]


def test_ids_are_the_same_in_both_forms_inside_and_outside() -> None:
    forms = [unicodedata.normalize(form, FRENCH) for form in ("NFC", "NFD")]
    for learnt in forms:
        words = WordIds.adapt([learnt], 100, 100)
        assert all(word == composed(word) for word in words.vocabulary if word != "i̇")
        found = [words(tf.constant([text]))["ids"].numpy().tolist() for text in forms]
        assert found[0] == found[1]
        assert 1 not in found[0][0]
        values, _ = words.flat(forms)
        np.testing.assert_array_equal(values, found[0][0] * 2)
