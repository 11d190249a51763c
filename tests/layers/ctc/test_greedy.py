"""Greedy decoding compared with runs found one by one."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.ctc import GreedyDecoder, join

TOKENS = 5


def likely(rows: int, steps: int, seed: int = 0) -> np.ndarray:
    """Log probabilities with runs of tokens and of blanks in them."""
    generator = np.random.default_rng(seed)
    best = generator.integers(0, TOKENS, (rows, steps)).repeat(2, 1)[:, :steps]
    logits = generator.normal(size=(rows, steps, TOKENS)) + 3 * np.eye(TOKENS)[best]
    return tf.nn.log_softmax(logits.astype(np.float32)).numpy()


def one_by_one(scores: np.ndarray) -> dict[str, list[Any]]:
    """The answer for one row `(steps, tokens)`."""
    found: dict[str, list[Any]] = {"ids": [], "steps": [], "confidence": []}
    for token, run in itertools.groupby(range(len(scores)), lambda step: scores[step].argmax()):
        if token:
            steps = list(run)
            found["ids"].append(token)
            found["steps"].append(steps[0])
            found["confidence"].append(np.exp(scores[steps, token]).max())
    return found


def check(answer: dict[str, tf.Tensor], row: int, expected: dict[str, list[Any]]) -> None:
    count = int(answer["counts"][row])
    assert count == len(expected["ids"])
    assert answer["ids"].numpy()[row, :count].tolist() == expected["ids"]
    assert answer["steps"].numpy()[row, :count].tolist() == expected["steps"]
    np.testing.assert_allclose(
        answer["confidence"].numpy()[row, :count], expected["confidence"], rtol=1e-6
    )
    for name in ("ids", "steps", "confidence"):
        assert not answer[name].numpy()[row, count:].any()


def test_runs_are_merged_and_blanks_dropped() -> None:
    scores, lengths = likely(6, 20), np.array([20, 0, 1, 7, 19, 2])
    answer = GreedyDecoder()(scores, tf.constant(lengths, tf.int32))
    for row, length in enumerate(lengths):
        check(answer, row, one_by_one(scores[row, :length]))
        score = scores[row, :length].max(1).sum()
        assert answer["score"].numpy()[row] == pytest.approx(score, rel=1e-5)
    assert answer["ids"].shape[1] == answer["counts"].numpy().max()


def test_silence_is_one_column_of_nothing() -> None:
    silence = np.tile(np.log([0.96] + [0.01] * 4).astype(np.float32), (2, 3, 1))
    answer = GreedyDecoder()(silence, tf.constant([3, 0]))
    assert answer["ids"].numpy().tolist() == [[0], [0]]
    assert answer["counts"].numpy().tolist() == [0, 0]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_stream_settles_on_the_same_tokens(size: int) -> None:
    """Rows end at different chunks and get empty chunks after that."""
    decoder = GreedyDecoder()
    scores, lengths = likely(4, 30, seed=1), np.array([30, 11, 0, 23], np.int32)
    whole = decoder(scores, tf.constant(lengths))
    step = tf.function(decoder.step, reduce_retracing=True)
    state = decoder.zeros(4)
    settled: dict[str, tf.Tensor] | None = None
    for start in range(0, 30, size):
        chunk = scores[:, start : start + size]
        real = np.clip(lengths - start, 0, chunk.shape[1])
        answer, state = step(tf.constant(chunk), tf.constant(real), state)
        settled = answer if settled is None else join(settled, answer)
        partial = {name[8:]: answer[name] for name in answer if name.startswith("partial_")}
        so_far = join(settled, partial)
        for row, length in enumerate(np.minimum(lengths, start + size)):
            check(so_far, row, one_by_one(scores[row, :length]))
    assert settled is not None
    again = join(settled, decoder.finish(state))
    for name in ("ids", "steps", "counts"):
        np.testing.assert_array_equal(again[name], whole[name])
    np.testing.assert_allclose(again["confidence"], whole["confidence"], rtol=1e-6)
    np.testing.assert_allclose(again["score"], whole["score"], rtol=1e-5)


def test_state_keeps_its_form() -> None:
    decoder = GreedyDecoder()
    _, state = decoder.step(likely(2, 4), tf.constant([4, 2]), decoder.zeros(2))
    specs = {name: (tuple(value.shape[1:]), value.dtype.name) for name, value in state.items()}
    assert specs == decoder.state_specs()


def test_works_in_a_functional_model() -> None:
    scores = keras.Input((None, TOKENS), name="scores")
    lengths = keras.Input((), dtype="int32", name="lengths")
    model = keras.Model([scores, lengths], GreedyDecoder()(scores, lengths))
    assert model.output["ids"].shape == (None, None)
    clone = keras.Model.from_config(model.get_config())
    values = likely(3, 9)
    answer = clone([values, np.array([9, 4, 0], np.int32)])
    check(answer, 1, one_by_one(values[1, :4]))
