"""Row convolution compared with its definition, whole and in chunks."""

from __future__ import annotations

import chunks
import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.look_ahead import LookAhead

LENGTHS = np.array([12, 7, 3, 2, 0], np.int32)


def steps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 12, 4)).astype(np.float32)


def made(context: int, **settings: str) -> LookAhead:
    layer = LookAhead(context, **settings)
    layer(steps(), LENGTHS)
    layer.set_weights([np.random.default_rng(1).normal(size=(context + 1, 4))])
    return layer


@pytest.mark.parametrize("context", [0, 2, 20])
def test_definition(context: int) -> None:
    """Equation (11) of Deep Speech 2: the sum over j of w_j times the feature j steps on."""
    layer, x = made(context), steps()
    weights = layer.kernel.numpy()
    y, counts = layer(x, LENGTHS)
    np.testing.assert_array_equal(counts, np.maximum(LENGTHS - context, 1))
    assert y.shape == (5, max(12 - context, 1), 4)
    for row, length in enumerate(LENGTHS):
        real = np.concatenate([x[row, :length], np.zeros((21, 4))])
        wanted = [(weights * real[t : t + context + 1]).sum(0) for t in range(counts[row])]
        np.testing.assert_allclose(y[row, : counts[row]], wanted, atol=1e-5)


def test_it_starts_as_the_step_itself() -> None:
    y, _ = LookAhead(3)(steps(), LENGTHS)
    np.testing.assert_array_equal(y[0], steps()[0, :9])


@pytest.mark.parametrize("most", [1, 5])
@pytest.mark.parametrize("context", [0, 3])
def test_chunks_give_what_the_whole_gives(context: int, most: int) -> None:
    layer, x = made(context), steps()
    whole, _ = layer(x, LENGTHS)
    streamed = chunks.outputs(layer.step, layer.state_specs(), x, LENGTHS, most=most)
    for row, length in enumerate(LENGTHS):
        assert len(streamed[row]) == max(length - context, 0)
        for found, wanted in zip(streamed[row], whole[row], strict=False):
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_half_precision() -> None:
    y, _ = made(2, dtype="mixed_float16")(steps(), LENGTHS)
    assert y.dtype == tf.float16
    np.testing.assert_allclose(y, made(2)(steps(), LENGTHS)[0], atol=0.02)


def test_shape_is_known_before_it_is_called() -> None:
    lengths = keras.Input((), dtype="int32")
    for given, expected in ((None, None), (9, 6), (2, 1)):
        y, counts = LookAhead(3)(keras.Input((given, 4)), lengths)
        assert (y.shape, counts.shape) == ((None, expected, 4), (None,))


def test_a_negative_context_is_refused() -> None:
    with pytest.raises(ValueError, match="0 steps or more"):
        LookAhead(-1)
