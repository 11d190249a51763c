"""Choosing the next token: what may be chosen, how often, and whatever stands beside it."""

from __future__ import annotations

import numpy as np
import scipy.stats
import tensorflow as tf

from apps.layers.language.choosing import choose, uniform

LOGITS = np.array([0.5, 2.0, -1.0, 1.5, 0.0, -3.0], np.float32)


def drawn(count: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """Tokens chosen by numbers that lie evenly between 0 and 1."""
    even = (np.arange(count, dtype=np.float32) + 0.5) / count
    return choose(
        tf.tile(LOGITS[None], [count, 1]),
        tf.fill([count], temperature),
        tf.fill([count], top_k),
        tf.fill([count], top_p),
        tf.constant(even),
    ).numpy()


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def shares(tokens: np.ndarray) -> np.ndarray:
    return np.bincount(tokens, minlength=len(LOGITS)) / len(tokens)


def test_temperature_zero_takes_the_likeliest() -> None:
    assert set(drawn(50, temperature=0.0)) == {1}
    assert set(drawn(50, temperature=0.0, top_k=3, top_p=0.2)) == {1}


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    for temperature in (0.3, 1.0, 4.0):
        expected = softmax(LOGITS / temperature)
        np.testing.assert_allclose(shares(drawn(4000, temperature)), expected, atol=1e-3)


def test_only_so_many_of_the_likeliest() -> None:
    kept = np.where(np.isin(np.arange(6), [1, 3, 0]), softmax(LOGITS), 0.0)
    np.testing.assert_allclose(shares(drawn(4000, top_k=3)), kept / kept.sum(), atol=1e-3)
    np.testing.assert_allclose(shares(drawn(4000, top_k=99)), softmax(LOGITS), atol=1e-3)


def test_only_the_likeliest_whose_probabilities_add_up() -> None:
    order = np.argsort(-LOGITS)
    cumulated = np.cumsum(softmax(LOGITS)[order])
    for top_p in (0.0, 0.3, 0.6, 0.95):
        needed = order[: int((cumulated < top_p).sum()) + 1]
        kept = np.where(np.isin(np.arange(6), needed), softmax(LOGITS), 0.0)
        np.testing.assert_allclose(shares(drawn(4000, top_p=top_p)), kept / kept.sum(), atol=1e-3)


def test_rows_have_options_of_their_own() -> None:
    rows = tf.tile(LOGITS[None], [3, 1])
    found = choose(
        rows,
        tf.constant([0.0, 1.0, 1.0]),
        tf.constant([0, 1, 0]),
        tf.constant([1.0, 1.0, 1.0]),
        tf.constant([0.99, 0.99, 0.999999]),
    )
    assert found.numpy().tolist() == [1, 1, 5]


def test_numbers_are_even_and_hang_on_seed_and_position_only() -> None:
    positions = tf.range(20_000)
    for seed in (0, 1, 2**31 - 1):
        numbers = uniform(tf.fill([20_000], seed), positions).numpy()
        assert numbers.min() >= 0
        assert numbers.max() < 1
        assert scipy.stats.kstest(numbers, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03
        alone = [uniform(tf.constant([seed]), positions[i : i + 1]).numpy()[0] for i in (0, 7)]
        assert alone == [numbers[0], numbers[7]]
    by_seed = uniform(tf.range(20_000), tf.zeros([20_000], tf.int32)).numpy()
    assert scipy.stats.kstest(by_seed, "uniform").pvalue > 1e-3
