"""The n-gram model and the lexicon inside the graph."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.ctc.language import NgramTables
from apps.layers.ctc.lexicon import Lexicon
from apps.layers.ctc.tokens import BLANK, SPACE, Tokens
from apps.layers.language.ngram import NgramModel

WORDS = "yes no stop stops go going turn left leftmost right on off one two three".split()


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 6))) for _ in range(count)]


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens.adapt(WORDS)


@pytest.fixture(scope="module", params=[1, 2, 3, 5])
def model(request: pytest.FixtureRequest) -> NgramModel:
    return NgramModel.train(sentences(40, seed=request.param), order=request.param)


@pytest.fixture(scope="module")
def tables(model: NgramModel, tokens: Tokens) -> NgramTables:
    return NgramTables.of(model, Lexicon.of(model, tokens), unknown_penalty=-2.0)


def walk(tables: NgramTables, spellings: list[list[int]]) -> tf.Tensor:
    """Nodes that spellings lead to."""
    ids = tf.ragged.constant(spellings, dtype=tf.int32).to_tensor()
    nodes = tf.zeros([len(spellings)], tf.int32)
    for step in range(ids.shape[1]):
        going = [step < len(spelling) for spelling in spellings]
        nodes = tf.where(going, tables.next_node(nodes, ids[:, step]), nodes)
    return nodes


def spelt(tables: NgramTables, spellings: list[list[int]]) -> list[int]:
    """The words that tokens spell, -1 for none."""
    return tables.word_at(walk(tables, spellings)).numpy().tolist()


def test_scores_are_those_of_the_model(model: NgramModel, tables: NgramTables) -> None:
    draw = random.Random(7)
    said = [[*draw.choices([*WORDS, "zebra"], k=8), "</s>"] for _ in range(30)]
    ids = np.array(
        [
            [model.words.index(word) if word in model.words else -1 for word in words]
            for words in said
        ],
        np.int32,
    )
    states = tf.zeros([len(said)], tf.int32)
    advance = tf.function(tables.advance)
    for step in range(ids.shape[1]):
        ended = tables.finish(states).numpy()
        scores, states = advance(states, ids[:, step])
        for row, words in enumerate(said):
            context = ["<s>", *words[:step]]
            penalty = -2.0 if words[step] == "zebra" else 0.0
            expected = model.log10(words[step], context) * math.log(10) + penalty
            assert scores[row].numpy() == pytest.approx(expected, rel=1e-5)
            end = model.log10("</s>", context) * math.log(10)
            assert ended[row] == pytest.approx(end, rel=1e-5)


def test_arguments_broadcast(model: NgramModel, tables: NgramTables) -> None:
    words = tf.range(-1, len(model.words))
    states = tf.range(tf.shape(tables.weights[0])[0])
    scores, after = tables.advance(states[:, None], words)
    assert scores.shape == after.shape == (len(states), len(words))
    assert scores.dtype == tf.float32
    assert after.dtype == tf.int32
    assert int(tf.reduce_min(after)) >= 0
    assert int(tf.reduce_max(after)) < len(states)
    for place in (0, len(states) // 2, len(states) - 1):
        one, state = tables.advance(states[place], words[4])
        assert one.shape == ()
        assert (float(one), int(state)) == (float(scores[place, 4]), int(after[place, 4]))
    nodes = tables.next_node(tf.zeros([2, 1], tf.int32), tf.range(5))
    assert nodes.shape == (2, 5)


def test_words_of_every_state_sum_to_one(model: NgramModel, tables: NgramTables) -> None:
    said = [place for place, word in enumerate(model.words) if word != "<s>"]
    states = tf.range(tf.shape(tables.weights[0])[0])
    scores, _ = tables.advance(states[:, None], tf.constant(said))
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(scores), 1), 1, atol=1e-5)


def test_without_unknown_words_they_are_next_to_impossible(
    model: NgramModel, tokens: Tokens
) -> None:
    closed = NgramTables.of(model, Lexicon.of(model, tokens), unknown_penalty=None)
    assert float(closed.advance(0, -1)[0]) < -1e8
    assert float(closed.advance(0, 3)[0]) > -20


# The lexicon


def lexicon_of(words: list[str], tokens: Tokens) -> tuple[NgramModel, Lexicon, NgramTables]:
    model = NgramModel.train(words, order=1)
    lexicon = Lexicon.of(model, tokens)
    return model, lexicon, NgramTables.of(model, lexicon)


def test_the_trie_spells_the_words_and_no_others(tokens: Tokens) -> None:
    model, lexicon, tables = lexicon_of(WORDS, tokens)
    assert not lexicon.left_out
    found = spelt(tables, [tokens.encode(word) for word in WORDS])
    assert [model.words[word] for word in found] == WORDS
    beginnings = {word[:end] for word in WORDS for end in range(len(word) + 1)}
    assert len(lexicon.words) == len(beginnings)
    draw = random.Random(0)
    letters = "".join(sorted(set("".join(WORDS))))
    texts = [
        draw.choice(WORDS)[: draw.randint(0, 5)]
        + "".join(draw.choices(letters, k=draw.randint(0, 2)))
        for _ in range(500)
    ]
    spellings = [tokens.encode(text) for text in texts]
    inside = (walk(tables, spellings) >= 0).numpy().tolist()
    assert inside == [text in beginnings for text in texts]
    assert 20 < sum(inside) < 480
    assert spelt(tables, spellings) == [
        model.words.index(text) if text in WORDS else -1 for text in texts
    ]


def test_outside_the_lexicon_there_is_no_way_back(tokens: Tokens) -> None:
    _, lexicon, tables = lexicon_of(WORDS, tokens)
    every = tf.range(len(lexicon.words))
    for token in (BLANK, SPACE):
        np.testing.assert_array_equal(tables.next_node(every, token), np.full(len(every), -1))
    np.testing.assert_array_equal(
        tables.next_node(tf.constant(-1), tf.range(len(tokens))), np.full(len(tokens), -1)
    )
    assert int(tables.word_at(tf.constant(-1))) == -1
    assert int(tables.word_at(tf.constant(0))) == -1


@pytest.mark.parametrize("size", [62, 63, 64, 65, 127, 200])
def test_alphabets_of_any_size(size: int) -> None:
    """Tokens fall into blocks of bits; the first and the last of a block are the risky ones."""
    characters = [chr(0x4E00 + place) for place in range(size - 2)]
    tokens = Tokens.adapt(characters)
    assert len(tokens) == size
    draw = random.Random(size)
    edges = [characters[place] for place in (0, 60, 61, 62, 124, 125) if place < size - 2]
    words = ["".join(draw.choices([*characters, *edges * 8], k=2)) for _ in range(150)]
    words += characters[::2]
    model, _, tables = lexicon_of(words, tokens)
    first = tables.next_node(tf.constant(0), tf.range(size)).numpy()
    starts = {word[0] for word in words}
    assert [token for token in range(size) if first[token] >= 0] == [
        token for token in range(2, size) if tokens.texts[token] in starts
    ]
    found = spelt(tables, [tokens.encode(word) for word in words])
    assert [model.words[word] for word in found] == words


def test_words_are_spelt_with_pieces() -> None:
    tokens = Tokens.adapt(WORDS * 3, kind="pieces", size=40)
    model, lexicon, tables = lexicon_of(WORDS, tokens)
    assert not lexicon.left_out
    assert max(len(tokens.encode(word)) for word in WORDS) > 1
    found = spelt(tables, [tokens.encode(word) for word in WORDS])
    assert [model.words[word] for word in found] == WORDS


def test_case_is_that_of_the_tokens_and_unspeakable_words_are_told() -> None:
    tokens = Tokens.adapt(["yes no HUT"])
    model, lexicon, tables = lexicon_of(["YES Yes No hut no", "naïve yes-no Yes"], tokens)
    assert set(lexicon.left_out) == {"naïve", "yes-no"}
    found = spelt(tables, [tokens.encode(text) for text in ("yes", "no", "HUT")])
    assert [model.words[word] for word in found] == ["Yes", "no", "hut"]


def test_no_word_at_all_can_be_spelt() -> None:
    _, lexicon, tables = lexicon_of(["abc"], Tokens.adapt(["xyz"]))
    assert lexicon.left_out == ("abc",)
    np.testing.assert_array_equal(tables.next_node(tf.constant(0), tf.range(5)), np.full(5, -1))


# As part of models


@keras.saving.register_keras_serializable("tests")
class SpellingScore(keras.layers.Layer):
    """Score of a text in tokens, `(batch, steps)` int32, by tables inside a loop of the graph."""

    def __init__(self, tables: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tables = tables

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        zeros = tf.zeros_like(ids[:, 0])

        def body(step: Any, node: Any, state: Any, score: Any) -> tuple[Any, ...]:
            token = ids[:, step]
            ends = token == SPACE
            log, after = self.tables.advance(state, self.tables.word_at(node))
            return (
                step + 1,
                tf.where(ends, 0, self.tables.next_node(node, token)),
                tf.where(ends, after, state),
                score + tf.where(ends, log, 0.0),
            )

        _, node, state, score = tf.while_loop(
            lambda step, *_: step < tf.shape(ids)[1],
            body,
            (0, zeros, zeros, tf.zeros(tf.shape(zeros))),
        )
        log, state = self.tables.advance(state, self.tables.word_at(node))
        return score + log + self.tables.finish(state)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape[:1]

    def get_config(self) -> dict[str, Any]:
        tables = keras.saving.serialize_keras_object(self.tables)
        return {**super().get_config(), "tables": tables}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SpellingScore:
        tables = keras.saving.deserialize_keras_object(config["tables"])
        return cls(**{**config, "tables": tables})


def test_tables_travel_with_the_model_that_they_are_part_of(tokens: Tokens, tmp_path: Path) -> None:
    model = NgramModel.train(sentences(40, seed=0), order=3)
    tables = NgramTables.of(model, Lexicon.of(model, tokens), unknown_penalty=-4.0)
    ids = keras.Input((None,), dtype="int32")
    scorer = keras.Model(ids, SpellingScore(tables)(ids))
    assert not scorer.trainable_weights
    texts = ["turn left now", "stop on twoon"]
    rows = tf.constant([tokens.encode(text) for text in texts])
    expected = []
    for text in texts:
        said = ["<s>", *text.split(), "</s>"]
        score = sum(model.log10(said[i], said[:i]) for i in range(1, len(said))) * math.log(10)
        expected.append(score - 4.0 * sum(word not in WORDS for word in text.split()))
    np.testing.assert_allclose(scorer(rows), expected, rtol=1e-5)

    scorer.save(tmp_path / "scorer.keras")
    loaded = keras.models.load_model(tmp_path / "scorer.keras")
    np.testing.assert_array_equal(loaded(rows), scorer(rows))
    loaded.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(saved.serve(rows), expected, rtol=1e-5)


def test_the_configuration_is_small_whatever_the_model(tokens: Tokens) -> None:
    model = NgramModel.train(sentences(400, seed=0), order=3)
    tables = NgramTables.of(model, Lexicon.of(model, tokens))
    assert sum(weight.shape[0] for weight in tables.weights) > 4000
    assert len(str(tables.get_config())) < 500
