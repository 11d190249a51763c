"""Text inside the graph: words, ids, pairs."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.text import PAD, UNKNOWN, WordIds, split_words

ODD = [
    "",
    "   \t\n",
    "A film.",
    "a\x00b",
    "<br />",
    "🎬 прекрасно 很好",
    "film " * 50,
    "\u202e'",
]


def split(text: str | bytes) -> list[str]:
    return [word.decode() for word in split_words(tf.constant([text]))[0].numpy().tolist()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A Film, not dull!", ["a", "film", ",", "not", "dull", "!"]),
        ("don't say 'never'", ["don't", "say", "'", "never", "'"]),
        ("it’s", ["it's"]),
        ("good<br /><br/>bad</p>", ["good", "bad"]),
        ("a < b > c", ["a", "<", "b", ">", "c"]),
        ("ÄRGER Déjà ПЛОХО", ["ärger", "déjà", "плохо"]),
        ("很好看 film", ["很", "好", "看", "film"]),
        ("7/10 :-)", ["7", "/", "10", ":", "-", ")"]),
        ("one\u00a0two\u3000three\nfour", ["one", "two", "three", "four"]),
        ("नमस्ते", ["नमस्ते"]),
        ("🎬🎬", ["🎬", "🎬"]),
        (b"caf\xe9 ok", ["caf", "\ufffd", "ok"]),
        ("", []),
        (" \t ", []),
    ],
)
def test_words(text: str | bytes, words: list[str]) -> None:
    assert split(text) == words


def test_vocabulary_is_ordered_by_frequency_then_bytes() -> None:
    texts = ["b b b a a c c d", "é é é é", ""]
    words = WordIds.adapt(texts, size=4, max_tokens=10)
    assert words.vocabulary == ["é", "b", "a", "c"]
    assert words.size == 6
    ids = words(tf.constant(["d c a b é"]))["ids"].numpy()
    np.testing.assert_array_equal(ids, [[UNKNOWN, 5, 4, 3, 2]])


def test_padding_and_lengths() -> None:
    words = WordIds(["a", "b"], max_tokens=10)
    answer = words(tf.constant(["a b a", "", "b"]))
    np.testing.assert_array_equal(
        answer["ids"].numpy(), [[2, 3, 2], [UNKNOWN, PAD, PAD], [3, PAD, PAD]]
    )
    np.testing.assert_array_equal(answer["lengths"].numpy(), [3, 1, 1])
    assert answer["ids"].dtype == answer["lengths"].dtype == tf.int32


@pytest.mark.parametrize("texts", [[""], ["", " "]])
def test_a_batch_without_words_has_a_step(texts: list[str]) -> None:
    answer = WordIds(["a"], max_tokens=10)(tf.constant(texts))
    assert answer["ids"].shape == (len(texts), 1)
    np.testing.assert_array_equal(answer["lengths"].numpy(), np.ones(len(texts)))


@pytest.mark.parametrize("most", [2, 5, 6])
@pytest.mark.parametrize("length", range(9))
def test_long_texts_keep_head_and_tail(most: int, length: int) -> None:
    words = WordIds(list("abcdefghi"), max_tokens=most)
    ids = list(range(2, 2 + length))
    texts = tf.constant([" ".join("abcdefghi"[:length]), "a b c d e f g h i"])
    kept = words.ragged(texts)[0].numpy().tolist()
    head = -(-most // 2)
    expected = ids if length <= most else ids[:head] + ids[length - most // 2 :]
    assert kept == (expected or [UNKNOWN])


def test_flat_rows_are_what_a_call_gives() -> None:
    words = WordIds(["film", ".", "好"], max_tokens=7)
    texts = [text for text in ODD for _ in range(200)]
    values, offsets = words.flat(texts)
    assert offsets[0] == 0
    assert offsets[-1] == len(values)
    called = words(tf.constant(ODD))
    for row, text in enumerate(ODD):
        first = texts.index(text)
        length = int(called["lengths"][row])
        for place in (first, first + 199):
            np.testing.assert_array_equal(
                values[offsets[place] : offsets[place + 1]], called["ids"].numpy()[row, :length]
            )


def test_a_saved_layer_gives_equal_ids_inside_a_graph(tmp_path: Path) -> None:
    texts = keras.Input((), dtype="string")
    model = keras.Model(texts, WordIds(["film", "."], max_tokens=6)(texts))
    model.save(tmp_path / "words.keras")
    loaded = keras.models.load_model(tmp_path / "words.keras")
    graph = tf.function(loaded, input_signature=[tf.TensorSpec([None], tf.string)])
    expected, found = model(tf.constant(ODD)), graph(tf.constant(ODD))
    for name in ("ids", "lengths"):
        np.testing.assert_array_equal(found[name].numpy(), expected[name].numpy())
    assert not model.trainable_variables


def test_the_vocabulary_of_very_many_texts_comes_from_a_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("apps.layers.text._MOST_CHARACTERS", 1200)
    words = WordIds.adapt([f"word{row:03} of all" for row in range(300)], 50_000, 10)
    assert words.vocabulary[:2] == ["all", "of"]
    assert len(words.vocabulary) == 2 + 85
    assert "vocabulary from 85 of 300 texts" in capsys.readouterr().err
