"""Windows over a stream equal those over the whole signal; a chain of streaming layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chunks
import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from apps.export.onnx.conversion import convert
from apps.layers import LSTMStack
from apps.layers.attention import AttentionPooling
from apps.layers.audio.convolution import ConvolutionSubsampling
from apps.layers.look_ahead import LookAhead
from apps.layers.pooling import LengthMask
from apps.layers.stream_chain import StreamChain
from apps.layers.streaming import StreamWindows

LENGTHS = np.array([60, 37, 0, 5], np.int32)


def signal(*features: int, steps: int = 60, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(len(LENGTHS), steps, *features)).astype(np.float32)


def windows_of(windows: StreamWindows, row: np.ndarray) -> list[np.ndarray]:
    padded = np.concatenate([np.zeros((windows.lead, *row.shape[1:]), row.dtype), row])
    starts = range(0, len(padded) - windows.size + 1, windows.hop)
    return [padded[start : start + windows.size] for start in starts]


FORMS = [(5, 2, 0), (4, 4, 1), (3, 7, 0), (1, 1, 0), (1, 3, 0), (70, 9, 0)]


@pytest.mark.parametrize(
    ("size", "hop", "lead", "features"),
    [*((*form, ()) for form in FORMS), (5, 2, 4, (2, 3)), (3, 7, 2, (2, 3))],
)
def test_windows_are_those_of_the_whole(
    size: int, hop: int, lead: int, features: tuple[int, ...]
) -> None:
    windows = StreamWindows(size, hop, lead)
    x = signal(*features)

    def step(chunk: tf.Tensor, lengths: tf.Tensor, state: Any) -> Any:
        found, count, *after = windows.push(chunk, lengths, state["buffer"], state["count"])
        return framed(found), count, dict(zip(("buffer", "count"), after, strict=True))

    def framed(found: tf.Tensor) -> tf.Tensor:
        starts = tf.range(0, tf.shape(found)[1] - size + 1, hop)
        return tf.gather(found, starts[:, None] + tf.range(size), axis=1)

    whole, counts = windows.whole(x, LENGTHS)
    shapes = windows.state_shapes(*features)
    specs = {"buffer": (shapes["buffer"], "float32"), "count": (shapes["count"], "int32")}
    for most in (1, 9):
        streamed = chunks.outputs(step, specs, x, LENGTHS, most=most)
        for row, length in enumerate(LENGTHS):
            expected = windows_of(windows, x[row, :length])
            assert len(expected) == len(streamed[row]) == counts[row] == windows.count(int(length))
            if expected:
                np.testing.assert_array_equal(streamed[row], expected)
                np.testing.assert_array_equal(framed(whole)[row, : len(expected)], expected)
    np.testing.assert_array_equal(windows.count(LENGTHS), counts)


def test_a_stream_that_never_ends_does_not_count_on() -> None:
    """At 16,000 steps a second a count would overflow 32 bits after a day and a half."""
    windows = StreamWindows(5, 3, 2)
    buffer, count, total = tf.zeros((1, 4)), tf.zeros(1, tf.int32), 0
    for _ in range(20):
        _, found, buffer, count = windows.push(tf.ones((1, 10)), tf.constant([10]), buffer, count)
        total += int(found[0])
        assert int(count[0]) < 5 + 3
    assert total == windows.count(200)


@pytest.mark.parametrize(("size", "hop", "lead"), [(0, 1, 0), (1, 0, 0), (3, 1, 3), (3, 1, -1)])
def test_windows_out_of_range_are_refused(size: int, hop: int, lead: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        StreamWindows(size, hop, lead)


def test_a_signal_shorter_than_a_window_is_filled_up_to_one() -> None:
    found, counts = StreamWindows(5, 2, 1).whole(tf.ones((2, 2)), tf.constant([2, 1]))
    np.testing.assert_array_equal(found, [[0, 1, 1, 0, 0], [0, 1, 0, 0, 0]])
    np.testing.assert_array_equal(counts, [0, 0])


def test_a_stack_of_lstms_streams() -> None:
    stack = LSTMStack((4, 3), return_state=True, seed=0)
    x = signal(2)
    whole, *_ = stack(x, mask=tf.sequence_mask(LENGTHS, 60))

    streamed = chunks.outputs(stack.step, stack.state_specs(), x, LENGTHS, most=9)
    for row, length in enumerate(LENGTHS):
        assert len(streamed[row]) == length
        np.testing.assert_allclose(streamed[row].reshape(-1, 3), whole[row, :length], atol=1e-6)


def test_a_stack_that_cannot_carry_on_is_refused() -> None:
    for stack in (LSTMStack(3, bidirectional=True), LSTMStack(3, return_state=False)):
        with pytest.raises(ValueError, match="return_state=True"):
            stack.state_specs()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Every layer that streams, one after the other."""
    features = keras.Input((None, 6), name="features")
    lengths = keras.Input((), dtype="int32", name="lengths")
    convolutions = ConvolutionSubsampling(
        (3, 2), ((3, 3), (4, 3)), ((1, 2), (2, 2)), causal=True, seed=0, name="convolutions"
    )
    x, steps = convolutions(features, lengths)
    stack = LSTMStack((4, 3), return_state=True, seed=0, name="stack")
    x, *_ = stack(x, mask=LengthMask(name="mask")(x[..., 0], steps))
    x, steps = LookAhead(2, name="look_ahead")(x, steps)
    pooled = AttentionPooling(4, window=7, seed=0, name="pooling")(x, steps)
    model = keras.Model([features, lengths], {"pooled": pooled, "sequence": x, "steps": steps})
    generator = np.random.default_rng(1)
    model.set_weights([w + generator.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model


def test_layers_stream_one_after_the_other(model: keras.Model, tmp_path: Path) -> None:
    """A model that was saved and loaded streams like the one that was trained, too."""
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    names = ("convolutions", "stack", "look_ahead", "pooling")
    chain = StreamChain({name: loaded.get_layer(name) for name in names})
    states = {name: (spec.shape[1:], spec.dtype) for name, spec in chain.specs().items()}
    x = signal(6)
    streamed = chunks.outputs(chain, states, x, LENGTHS, most=8)
    whole = model({"features": x, "lengths": LENGTHS})
    for row, length in enumerate(LENGTHS):
        # Half of the steps, less those that the look-ahead waits for.
        assert len(streamed[row]) == max(0, -(-length // 2) - 2)
        if len(streamed[row]):
            assert len(streamed[row]) == whole["steps"][row]
            np.testing.assert_allclose(streamed[row][-1], whole["pooled"][row], atol=1e-5)


def test_gradients_are_finite_and_reach_every_weight(model: keras.Model) -> None:
    with tf.GradientTape() as tape:
        found = model({"features": signal(6), "lengths": LENGTHS}, training=True)
        total = tf.reduce_sum(tf.square(found["pooled"]))
    for weight, gradient in zip(
        model.trainable_variables,
        tape.gradient(total, [weight.value for weight in model.trainable_variables]),
        strict=True,
    ):
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > 0, weight.path


def test_onnx_gives_the_same(model: keras.Model) -> None:
    session = onnxruntime.InferenceSession(convert(model, "model").SerializeToString())
    for steps in (60, 1):
        given = {"features": signal(6, steps=steps), "lengths": np.minimum(LENGTHS, steps)}
        wanted = model(given)
        for name, found in zip(wanted, session.run(list(wanted), given), strict=True):
            np.testing.assert_allclose(found, wanted[name], atol=1e-5, err_msg=f"{name}, {steps}")
