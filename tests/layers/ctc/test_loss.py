"""The CTC loss compared with a sum over all alignments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.ctc import ctc_loss, steps_needed

STEPS, TOKENS = 5, 3

# Every transcript that can be aligned to five steps, over two tokens, and the real steps.
CASES = [
    (labels, steps)
    for steps in range(STEPS + 1)
    for length in range(steps + 1)
    for labels in itertools.product((1, 2), repeat=length)
    if length + sum(a == b for a, b in itertools.pairwise(labels)) <= steps
]


def batch(cases: list[tuple[tuple[int, ...], int]]) -> tuple[tf.Tensor, ...]:
    """Labels, their lengths and steps; the padding holds values that are not labels."""
    labels = np.full((len(cases), STEPS + 2), 2, np.int32)
    for row, (tokens, _) in zip(labels, cases, strict=True):
        row[: len(tokens)] = tokens
    lengths = np.array([len(tokens) for tokens, _ in cases], np.int32)
    steps = np.array([steps for _, steps in cases], np.int32)
    return tf.constant(labels), tf.constant(lengths), tf.constant(steps)


def logits_of(rows: int, scale: float = 3.0) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(rows, STEPS, TOKENS)) * scale
    return values.astype(np.float32)


def enumerated(labels: tuple[int, ...], steps: int, logits: tf.Tensor) -> tf.Tensor:
    """Loss of one row `(steps, tokens)` in float64, by enumerating all alignments."""
    paths = [
        path
        for path in itertools.product(range(TOKENS), repeat=steps)
        if tuple(token for token, _ in itertools.groupby(path) if token) == labels
    ]
    scores = tf.nn.log_softmax(tf.cast(logits, tf.float64))
    each = [sum(scores[step, token] for step, token in enumerate(path)) for path in paths]
    return -tf.reduce_logsumexp(tf.stack([tf.cast(value, tf.float64) for value in each]))


@tf.function(
    input_signature=[
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((None, None, None), tf.float32),
        tf.TensorSpec((None,), tf.int32),
    ]
)
def loss_and_gradient(
    labels: tf.Tensor, lengths: tf.Tensor, logits: tf.Tensor, steps: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses, possible = ctc_loss(labels, lengths, logits, steps)
        # Weighted, so that a gradient that ignores its incoming gradient is found.
        total = tf.reduce_sum(losses * (1.0 + tf.cast(tf.range(tf.size(losses)), tf.float32)))
    return losses, possible, tape.gradient(total, logits)


def test_losses_and_gradients_are_those_of_all_alignments() -> None:
    labels, lengths, steps = batch(CASES)
    logits = logits_of(len(CASES))
    losses, possible, gradient = loss_and_gradient(labels, lengths, logits, steps)
    assert possible.numpy().all()
    # Every seventh, since enumerating all alignments of all of them takes a while.
    checked = range(0, len(CASES), 7)
    assert {len(CASES[row][0]) for row in checked} >= {0, 1, 2, 3, 4}
    for row in checked:
        with tf.GradientTape() as tape:
            x = tf.constant(logits[row])
            tape.watch(x)
            loss = enumerated(*CASES[row], x)
        np.testing.assert_allclose(losses[row], loss, rtol=1e-5, atol=1e-5)
        expected = tape.gradient(loss, x)
        expected = np.zeros_like(logits[row]) if expected is None else expected.numpy()
        np.testing.assert_allclose(gradient[row] / (1 + row), expected, atol=1e-5)


def test_probabilities_of_all_transcripts_sum_to_one() -> None:
    cases = [(labels, steps) for labels, steps in CASES if steps == STEPS]
    labels, lengths, steps = batch(cases)
    logits = np.repeat(logits_of(1), len(cases), 0)
    losses, _ = ctc_loss(labels, lengths, logits, steps)
    assert np.exp(-losses.numpy().astype(np.float64)).sum() == pytest.approx(1, abs=1e-6)


def test_a_transcript_that_is_too_long_costs_nothing_and_teaches_nothing() -> None:
    cases = [
        ((1, 2, 1, 2, 1, 2), 5),
        ((1, 1, 1), 4),
        ((1, 1, 1), 5),
        ((2,), 0),
        ((), 0),
        ((1, 2), 5),
    ]
    labels, lengths, steps = batch(cases)
    assert steps_needed(labels, lengths).numpy().tolist() == [6, 5, 5, 1, 0, 2]
    losses, possible, gradient = loss_and_gradient(labels, lengths, logits_of(6), steps)
    assert possible.numpy().tolist() == [False, False, True, False, True, True]
    assert np.isfinite(losses).all()
    assert losses.numpy()[[0, 1, 3, 4]].tolist() == [0, 0, 0, 0]
    assert not gradient.numpy()[[0, 1, 3, 4]].any()
    assert (losses.numpy()[[2, 5]] > 0).all()
    assert gradient.numpy()[[2, 5]].any((1, 2)).all()


def test_a_batch_without_any_token() -> None:
    logits = logits_of(2)
    losses, possible = ctc_loss(
        tf.zeros((2, 0), tf.int32), tf.zeros(2, tf.int32), logits, tf.constant([5, 3])
    )
    silent = tf.nn.log_softmax(logits)[:, :, 0].numpy()
    np.testing.assert_allclose(losses, [-silent[0].sum(), -silent[1, :3].sum()], rtol=1e-5)
    assert possible.numpy().all()


def test_what_stands_behind_the_last_step_does_not_matter() -> None:
    labels, lengths, steps = batch([((1, 2), 3), ((2, 2), 4), ((), 2)])
    logits = logits_of(3)
    other = np.where(np.arange(STEPS)[:, None] < steps.numpy()[:, None, None], logits, 50.0)
    losses, _, gradient = loss_and_gradient(labels, lengths, logits, steps)
    again, _, _ = loss_and_gradient(labels, lengths, other.astype(np.float32), steps)
    np.testing.assert_array_equal(losses, again)
    for row, length in enumerate(steps.numpy()):
        assert not gradient.numpy()[row, length:].any()
        assert gradient.numpy()[row, :length].any()


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_is_summed_in_full(dtype: tf.DType) -> None:
    labels, lengths, steps = batch([((1, 2), 5), ((2, 2), 5)])
    logits = tf.cast(logits_of(2), dtype)
    losses, _ = ctc_loss(labels, lengths, logits, steps)
    expected, _ = ctc_loss(labels, lengths, tf.cast(logits, tf.float32), steps)
    assert losses.dtype == tf.float32
    np.testing.assert_array_equal(losses, expected)
