"""The moving threshold of smoothed errors against a plain one, and in pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.anomalies.dynamic_threshold import HISTORY, DynamicThreshold

CHANNELS, ROWS, EVERY, SPAN = 2, 2600, 70, 105


@pytest.fixture(scope="module")
def traced() -> Any:
    layer = DynamicThreshold(CHANNELS)
    signature = (
        tf.TensorSpec((None, None, CHANNELS), tf.float64),
        tf.TensorSpec((None, None, CHANNELS), tf.bool),
        tf.TensorSpec((None,), tf.int32),
        layer.state_specs(),
    )
    return tf.function(lambda *given: layer(*given), input_signature=signature)


def zeros(rows: int) -> dict[str, tf.Tensor]:
    specs = DynamicThreshold(CHANNELS).state_specs()
    return {name: tf.zeros((rows, *spec.shape[1:]), spec.dtype) for name, spec in specs.items()}


def errors() -> tuple[np.ndarray, np.ndarray]:
    """Errors of two streams, one with a lasting rise and one with a short, high one; and holes."""
    draw = np.random.default_rng(0)
    found = np.abs(draw.normal(size=(2, ROWS, CHANNELS)))
    found[0, 1900:2000, 1] += 5.0
    found[1, 1500:1510, 0] += 60.0
    return found, draw.random(found.shape) > 0.01


def smoothed(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    total, found = 0.0, []
    for value, there in zip(values, known, strict=True):
        total += (value - total) * 2 / (SPAN + 1) if there else 0.0
        found.append(total)
    return np.array(found)


def chosen(history: np.ndarray) -> tuple[float, float]:
    """Threshold and largest usual error as Hundman et al. have them, by a plain loop."""
    mean, deviation = history.mean(), history.std()
    best, threshold = -np.inf, mean + 12.5 * deviation
    for z in np.arange(2.5, 12.5, 0.5):
        at = max(mean + z * deviation, 0.05)
        above = np.flatnonzero(history > at)
        if not len(above) or len(above) >= 0.5 * len(history):
            continue
        stretches = 1 + int((np.diff(above) > 100).sum())
        rest = np.delete(history, above)
        gain = (mean - rest.mean()) / mean + (deviation - rest.std()) / deviation
        value = gain / (stretches**2 + len(above))
        # Of those that flag the same rows the highest.
        if stretches <= 5 and value >= best - 1e-12:
            best, threshold = value, at
    return threshold, float(history[history <= threshold].max())


def test_scores_are_multiples_of_the_threshold_of_a_plain_loop(traced: Any) -> None:
    values, known = errors()
    found, _ = traced(values, known, np.full(2, ROWS, np.int32), zeros(2))
    for stream, channel in ((0, 1), (1, 0), (1, 1)):
        smooth = smoothed(values[stream, :, channel], known[stream, :, channel])
        real = known[stream, :, channel]
        wanted, threshold, usual = np.zeros(ROWS), 0.0, 0.0
        for row in range(ROWS):
            if threshold and real[row]:
                wanted[row] = smooth[row] / threshold
                if smooth[row] < 1.13 * usual:
                    wanted[row] = min(wanted[row], 0.87)
            if (row + 1) % EVERY == 0:
                before = slice(max(row + 1 - HISTORY, 0), row + 1)
                past = smooth[before][real[before]]
                threshold, usual = chosen(past) if len(past) >= 100 else (0.0, 0.0)
        np.testing.assert_allclose(found[stream, :, channel], wanted, rtol=1e-4, atol=1e-5)


def test_rises_are_found_and_nothing_else(traced: Any) -> None:
    values, known = errors()
    found, _ = traced(values, known, np.full(2, ROWS, np.int32), zeros(2))
    flags = found.numpy() >= 1
    for stream, channel, first, last in ((0, 1, 1900, 2000), (1, 0, 1500, 1510)):
        rows = np.flatnonzero(flags[stream, :, channel])
        assert first <= rows.min() < last <= rows.max() < last + SPAN
    assert not flags[0, :, 0].any()
    assert not flags[1, :, 1].any()


def test_a_stream_gives_the_same_whatever_it_is_cut_into(traced: Any) -> None:
    values, known = errors()
    lengths = np.array([ROWS, ROWS - 300], np.int32)
    whole, after = traced(values, known, lengths, zeros(2))
    states, parts, start = zeros(2), [], 0
    for size in [1, 69, 1, 200, 33, 700, 2, 994, 300, 300]:
        rows = slice(start, start + size)
        sizes = np.clip(lengths - start, 0, size).astype(np.int32)
        found, states = traced(values[:, rows], known[:, rows], sizes, states)
        parts.append(found.numpy())
        start += size
    assert start == ROWS
    joined = np.concatenate(parts, 1)
    for stream, length in enumerate(lengths):
        np.testing.assert_allclose(joined[stream, :length], whole[stream, :length], rtol=1e-6)
    for name in ("state_dynamic_threshold", "state_dynamic_usual", "state_dynamic_number"):
        np.testing.assert_allclose(states[name], after[name], rtol=1e-9)
