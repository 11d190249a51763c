"""Beam search against what it must equal: greedy search, and trying everything."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.beam_search import BeamSearch

TOKENS, BEGIN, END, PAD = 6, 2, 3, 0
LIMIT = 4


def model(seed: int, rows: int) -> np.ndarray:
    """Log probabilities of a token after each other one at each step, `(rows, steps, from, to)`."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1.5, (rows, LIMIT + 4, TOKENS, TOKENS))
    logits[..., [PAD, BEGIN]] = -1e9
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)


def attention(seed: int, rows: int, source: int) -> np.ndarray:
    """What each token attends to, `(rows, tokens, source)`."""
    return np.random.default_rng(seed + 1).dirichlet(np.ones(source), (rows, TOKENS)).astype("f4")


def searched(
    logs: np.ndarray, width: int, limits: list[int] | None = None, **settings: Any
) -> list[tuple[list[list[int]], list[float], list[bool]]]:
    rows = len(logs)
    looks = attention(0, rows, 3)

    def step(tokens, states):
        (number,) = states
        one = tf.gather(logs, number[:, 0], batch_dims=1)
        looked = tf.gather(looks, tokens, batch_dims=1)
        return tf.gather(one, tokens, batch_dims=1), [number + 1], looked

    @tf.function
    def run():
        return BeamSearch(BEGIN, END, **settings)(
            step,
            [tf.zeros([rows], tf.int32)],
            tf.ones([rows, 3], tf.bool),
            tf.constant(limits or [LIMIT] * rows),
            width,
        )

    ids, scores, cut = (value.numpy() for value in run())
    return [
        (
            [[t for t in one if t] for one in ids[row].tolist()],
            scores[row].tolist(),
            cut[row].tolist(),
        )
        for row in range(rows)
    ]


def greedy(logs: np.ndarray) -> tuple[list[int], bool]:
    said: list[int] = []
    token = BEGIN
    for step in range(LIMIT):
        token = int(logs[step, token].argmax())
        if token == END:
            return said, False
        said.append(token)
    return said, True


def everything(
    logs: np.ndarray, looks: np.ndarray, length: float = 0.0, coverage: float = 0.0
) -> list[tuple[float, list[int]]]:
    """Every sequence that ends within the limit, with its score, the best first."""
    words = [token for token in range(TOKENS) if token not in (PAD, BEGIN, END)]
    found = []
    for size in range(LIMIT):
        for said in itertools.product(words, repeat=size):
            path = [BEGIN, *said, END]
            total = sum(float(logs[i, a, b]) for i, (a, b) in enumerate(itertools.pairwise(path)))
            score = total / ((5 + size + 1) / 6) ** length
            covered = sum(looks[token] for token in path[:-1])
            score += coverage * float(np.log(np.clip(covered, 1e-6, 1)).sum())
            found.append((score, list(said)))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_one_is_greedy_search(seed: int) -> None:
    logs = model(seed, 20)
    for row, (ids, scores, cut) in enumerate(searched(logs, 1)):
        said, limited = greedy(logs[row])
        assert ids == [said]
        assert cut == [limited]
        path = [BEGIN, *said, *([] if limited else [END])]
        total = sum(logs[row, i, a, b] for i, (a, b) in enumerate(itertools.pairwise(path)))
        assert scores[0] == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize(("length", "coverage"), [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (0.6, 0.5)])
def test_a_wide_beam_finds_what_trying_everything_finds(length: float, coverage: float) -> None:
    logs, count = model(7, 12), 5
    looks = attention(0, 12, 3)
    found = searched(logs, 200, length_penalty=length, coverage_penalty=coverage, found=count)
    for row, (ids, scores, cut) in enumerate(found):
        best = everything(logs[row], looks[row], length, coverage)[:count]
        assert ids == [said for _, said in best]
        np.testing.assert_allclose(scores, [score for score, _ in best], atol=1e-4)
        assert not any(cut)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_row_does_not_hang_on_its_batch(width: int) -> None:
    logs = model(3, 6)
    limits = [1 + row % LIMIT for row in range(6)]
    together = searched(logs, width, limits, length_penalty=0.6, found=width)
    for row in range(6):
        looks_differ = searched(
            logs[row : row + 1], width, [limits[row]], length_penalty=0.6, found=width
        )
        ids, scores, cut = together[row]
        assert looks_differ[0][0] == ids
        assert looks_differ[0][2] == cut
        np.testing.assert_allclose(looks_differ[0][1], scores, atol=1e-4)


def test_the_limit_cuts_and_says_so() -> None:
    logs = model(0, 4)
    logs[..., END] = -1e9
    for ids, _, cut in searched(logs, 3, found=3):
        assert cut == [True] * 3
        assert [len(one) for one in ids] == [LIMIT] * 3


def test_a_limit_of_nothing_says_nothing() -> None:
    (ids, _, _), (other, _, _) = searched(model(0, 2), 2, [0, 2])
    assert ids == [[]]
    assert other != [[]] or greedy(model(0, 2)[1])[0] == []


def test_it_ends_as_soon_as_nothing_else_can_win() -> None:
    logs = model(0, 1)
    logs[..., END] = -0.01
    steps = []

    def step(tokens, states):
        tf.py_function(lambda: steps.append(1), [], [])
        one = tf.gather(logs, states[0][:, 0], batch_dims=1)
        return (
            tf.gather(one, tokens, batch_dims=1),
            [states[0] + 1],
            tf.ones([1, tf.shape(tokens)[1], 1]),
        )

    BeamSearch(BEGIN, END)(
        step, [tf.zeros([1], tf.int32)], tf.ones([1, 1], tf.bool), tf.constant([LIMIT]), 2
    )
    assert len(steps) == 1
