"""The language network, and texts that go on from its states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.language.generation import OPTIONS, Continuation, SharedNetwork
from apps.layers.language.network import LanguageNetwork
from apps.layers.token_layer import BEGIN

SIZE, UNITS = 9, (5, 7)
TEXTS = ["", "?", "", "", "a", "b", "\n", "né", " the"]


def network(draw_from: int = 0, scale: float = 0.7, **changes: Any) -> LanguageNetwork:
    made = SharedNetwork(SIZE, 6, UNITS, **{"seed": 3, "name": "network", **changes})
    made.build()
    draw = np.random.default_rng(draw_from)
    made.set_weights([draw.normal(0, scale, weight.shape) for weight in made.get_weights()])
    return made


def zeros(rows: int) -> list[tf.Tensor]:
    return [tf.zeros([rows, units]) for units in UNITS for _ in range(2)]


def options(rows: int, **given: Any) -> dict[str, tf.Tensor]:
    usual = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_tokens": 8, "seed": 0, "stop": [""]}
    found = {}
    for name, (dtype, shape) in OPTIONS.items():
        value = tf.constant({**usual, **given}[name], dtype)
        full = [rows, *value.shape[value.shape.rank - len(shape) :]]
        found[name] = tf.broadcast_to(value, full)
    return found


def continued(made: LanguageNetwork, rows: int = 1, **given: Any) -> dict[str, np.ndarray]:
    """What stands after the states of some prompts, one row for each."""
    layer = Continuation(TEXTS, spaced=False, first_id=4, network=made)
    prompts = tf.constant([[BEGIN, 4 + row % 5] for row in range(rows)])
    _, _, *states = made(prompts, prompts, tf.fill([rows], 2), zeros(rows))
    answers = layer(tf.concat(states, 1), prompts[:, -1], options(rows, **given))
    return {name: value.numpy() for name, value in answers.items()}


def test_probabilities_add_up_to_one_and_are_those_of_a_softmax() -> None:
    made = network()
    ids = tf.constant([[BEGIN, 5, 7, 4]])
    every = [
        made(ids, tf.fill([1, 4], token), tf.constant([4]), zeros(1))[0].numpy()
        for token in range(SIZE)
    ]
    np.testing.assert_allclose(np.exp(every).sum(0), 1.0, atol=1e-5)
    features, *_ = made.stack(made.vectors(ids), zeros(1), mask=tf.ones([1, 4], bool))
    logits = made.logits(made.features(features)[0])
    np.testing.assert_allclose(
        tf.nn.log_softmax(logits).numpy().T, np.array(every)[:, 0], atol=1e-5
    )


def test_windows_with_their_states_are_the_whole() -> None:
    made = network()
    ids = tf.constant(np.random.default_rng(1).integers(4, SIZE, (3, 11)), tf.int32)
    whole, _, *last = made(ids, ids, tf.constant([11, 7, 2]), zeros(3))
    states, parts = zeros(3), []
    for start, stop in ((0, 4), (4, 5), (5, 11)):
        lengths = tf.clip_by_value(tf.constant([11, 7, 2]) - start, 0, stop - start)
        part, _, *states = made(ids[:, start:stop], ids[:, start:stop], lengths, states)
        parts.append(part)
    for row, length in enumerate((11, 7, 2)):
        together = tf.concat(parts, 1)[row, :length]
        np.testing.assert_allclose(together, whole[row, :length], atol=1e-5)
    for one, other in zip(states, last, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_one_step_by_products_is_one_step_of_the_stack() -> None:
    made = network()
    states = [tf.random.stateless_normal([4, units], [i, 1]) for i, units in enumerate(UNITS * 2)]
    states = [states[0], states[2], states[1], states[3]]
    token = tf.constant([4, 5, 6, 7])
    _, *expected = made.stack(made.vectors(token)[:, None], states, mask=tf.ones([4, 1], bool))
    for one, other in zip(made.stack.advance(made.vectors(token), states), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_sample_of_tokens_stands_for_all_of_them() -> None:
    made = network(scale=0.2, sampled=SIZE - 1)
    ids = tf.constant(np.random.default_rng(2).integers(4, SIZE, (4, 6)), tf.int32)
    lengths, states = tf.fill([4], 6), zeros(4)
    exact = made(ids, ids, lengths, states)[0].numpy().mean()
    drawn = [made(ids, ids, lengths, states, training=True)[0] for _ in range(60)]
    estimates = [float(tf.reduce_mean(one)) for one in drawn]
    assert len(set(estimates)) > 1
    assert np.mean(estimates) == pytest.approx(exact, rel=0.05)
    # What is drawn does not matter where a sample is not asked for.
    assert made(ids, ids, lengths, states)[0].numpy().mean() == exact


def test_dropped_tokens_are_dropped_wherever_they_occur() -> None:
    made = network(token_dropout=0.5)
    vectors = made._vectors(training=True).numpy()
    kept = np.abs(vectors).sum(1) > 0
    assert 0 < kept.sum() < SIZE
    np.testing.assert_allclose(vectors[kept], 2 * made.embeddings.numpy()[kept], rtol=1e-5)
    np.testing.assert_array_equal(made._vectors(training=False), made.embeddings)


def test_a_text_goes_on_as_a_loop_outside_the_graph_says() -> None:
    made = network()
    answer = continued(made, rows=4, temperature=0.0)
    for row in range(4):
        read = [BEGIN, 4 + row % 5]
        for _ in range(8):
            ids = tf.constant([read])
            features, *_ = made.stack(made.vectors(ids), zeros(1), mask=tf.ones(ids.shape, bool))
            logits = made.logits(made.features(features[:, -1])).numpy()[0]
            read.append(4 + int(logits[4:].argmax()))
        assert answer["text"][row].decode() == "".join(TEXTS[token] for token in read[2:])
    assert answer["tokens"].tolist() == [8] * 4
    assert answer["cut"].all()


def test_an_answer_hangs_on_its_own_row_only() -> None:
    made = network()
    together = continued(made, rows=5, seed=[1, 2, 3, 4, 5], max_tokens=[8, 3, 8, 0, 5])
    assert together["tokens"].tolist() == [8, 3, 8, 0, 5]
    # The second prompt alone, by its own seed, however many tokens its neighbours have.
    longer = continued(made, rows=5, seed=[9, 2, 9, 9, 9], max_tokens=[2, 3, 1, 9, 9])
    assert together["text"][1] == longer["text"][1]
    assert len({bytes(text) for text in together["text"]}) > 2


def test_a_text_ends_before_a_stop_string() -> None:
    made = network()
    whole = continued(made, temperature=0.9, max_tokens=40, seed=5)["text"][0].decode()
    for stop in (whole[5:7], whole[3], "é", whole[9:14]):
        answer = continued(made, temperature=0.9, max_tokens=40, seed=5, stop=[stop])
        assert answer["text"][0].decode() == whole.partition(stop)[0]
        assert answer["cut"][0] == (stop not in whole)
    several = continued(made, temperature=0.9, max_tokens=40, seed=5, stop=[whole[9], whole[4]])
    cut = min(whole.index(whole[9]), whole.index(whole[4]))
    assert several["text"][0].decode() == whole[:cut]


def test_a_line_has_no_space_before_its_first_word() -> None:
    layer = Continuation(TEXTS, spaced=True, first_id=4, network=network())
    speller = layer.speller
    token = tf.constant([8, 8, 6])
    begins = speller.begins_line(tf.constant([6, 4, BEGIN]))
    assert begins.numpy().tolist() == [True, False, True]
    assert speller.piece(token, begins).numpy().tolist() == [b"the", b" the", b"\n"]


def test_two_files_that_are_loaded_keep_their_own_weights(tmp_path: Path) -> None:
    served, answers = [], []
    for number in range(2):
        made = network(draw_from=number)
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        states = [keras.Input((u,), name=f"s{i}") for i, u in enumerate((5, 5, 7, 7))]
        outputs = made(ids, ids, lengths, states)
        inner = keras.Model([ids, lengths, *states], [outputs[0], *outputs[2:]], name="tensors")
        given = {
            name: keras.Input(shape, dtype=dtype.name, name=name)
            for name, (dtype, shape) in OPTIONS.items()
        }
        outer = inner([ids, lengths, *states])
        layer = Continuation(TEXTS, spaced=False, first_id=4, network=made)
        answer = layer(keras.layers.Concatenate()(outer[1:]), ids[:, -1], given)
        model = keras.Model([ids, lengths, *states, given], answer)
        model.save(tmp_path / f"{number}.keras")
        served.append(model)
    rows = [tf.constant([[BEGIN, 5]]), tf.constant([2]), *zeros(1), options(1, temperature=0.0)]
    answers = [model(rows)["text"].numpy()[0] for model in served]
    assert answers[0] != answers[1]
    loaded = [keras.models.load_model(tmp_path / f"{number}.keras") for number in range(2)]
    assert [model(rows)["text"].numpy()[0] for model in loaded] == answers
    for model in loaded:
        assert len(model.weights) == len(served[0].weights)
