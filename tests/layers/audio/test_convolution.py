"""Convolutional subsampling: its steps, its padding, its causal form over a stream."""

from __future__ import annotations

from typing import Any

import chunks
import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.audio.convolution import ConvolutionSubsampling

BANDS = 7
LENGTHS = np.array([41, 20, 2, 1], np.int32)
TWO: dict[str, Any] = {
    "channels": (3, 4),
    "kernels": ((5, 3), (4, 2)),
    "strides": ((2, 2), (3, 1)),
    "seed": 0,
}


def features(frames: int = 41, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(len(LENGTHS), frames, BANDS)).astype(np.float32)


def expected(layer: ConvolutionSubsampling, x: np.ndarray) -> np.ndarray:
    """One row without padding, `(frames, bands)`, by the definition, in double precision."""
    x = x[..., None].astype(np.float64)
    weights = [weight.numpy().astype(np.float64) for weight in layer.weights]
    kernels = [weight for weight in weights if weight.ndim == 4]
    others = iter([weight for weight in weights if weight.ndim != 4])
    for kernel, (hop, stride) in zip(kernels, layer.strides, strict=True):
        size, width = kernel.shape[:2]
        before = size - 1 if layer.causal else (size - 1) // 2
        around = [(before, size - 1 - before), ((width - 1) // 2, width // 2), (0, 0)]
        padded = np.pad(x, around)
        x = np.array(
            [
                [
                    np.tensordot(padded[t : t + size, f : f + width], kernel, 3)
                    for f in range(0, x.shape[1], stride)
                ]
                for t in range(0, len(x), hop)
            ]
        )
        if layer.norm == "layer":
            deviation = x - x.mean((1, 2), keepdims=True)
            variance = (deviation**2).mean((1, 2), keepdims=True)
            x = deviation / np.sqrt(variance + 1e-3) * next(others) + next(others)
        else:
            x += next(others)
        x = np.maximum(x, 0)
    return x.reshape(len(x), -1)


def made(**changes: Any) -> ConvolutionSubsampling:
    """A layer none of whose weights is 0 or 1."""
    layer = ConvolutionSubsampling(**{**TWO, **changes})
    layer(features(), LENGTHS)
    generator = np.random.default_rng(2)
    layer.set_weights([w + generator.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("norm", ["layer", "none"])
@pytest.mark.parametrize("causal", [False, True], ids=["centred", "causal"])
def test_each_row_is_convolved_as_if_it_were_alone(causal: bool, norm: str) -> None:
    layer = made(causal=causal, norm=norm)
    x = features()
    y, steps = layer(x, LENGTHS)
    np.testing.assert_array_equal(steps, layer.steps(LENGTHS))
    assert y.shape == (4, layer.steps(41), 4 * 4)
    for row, (length, count) in enumerate(zip(LENGTHS, steps, strict=True)):
        wanted = expected(layer, x[row, :length])
        assert count == len(wanted)
        np.testing.assert_allclose(y[row, :count], wanted, rtol=1e-4, atol=1e-5)
        assert not y[row, count:].numpy().any()


@pytest.mark.parametrize("causal", [False, True], ids=["centred", "causal"])
def test_more_padding_changes_nothing(causal: bool) -> None:
    layer = made(causal=causal)
    x = features()
    longer = np.concatenate([x, np.full_like(x, 1e6)], 1)
    longer[np.arange(82) >= LENGTHS[:, None]] = 1e6
    y, steps = layer(x, LENGTHS)
    again, same = layer(longer, LENGTHS)
    np.testing.assert_array_equal(steps, same)
    np.testing.assert_allclose(again[:, : y.shape[1]], y, atol=1e-5)
    assert not again[:, y.shape[1] :].numpy().any()


def test_a_causal_step_does_not_see_the_future() -> None:
    layer = made(causal=True)
    x, changed = features(), features()
    changed[:, 12:] += 5
    before, after = (layer(each, LENGTHS)[0].numpy() for each in (x, changed))
    # Step 2 stands for frame 12, with a stride of 6 in all.
    np.testing.assert_allclose(before[:, :2], after[:, :2], atol=1e-5)
    assert np.abs(before[0, 2] - after[0, 2]).max() > 0.01


@pytest.mark.parametrize("most", [1, 10])
@pytest.mark.parametrize("norm", ["layer", "none"])
def test_chunks_give_what_the_whole_gives(most: int, norm: str) -> None:
    layer = made(causal=True, norm=norm)
    x = features()
    whole, steps = layer(x, LENGTHS)
    streamed = chunks.outputs(layer.step, layer.state_specs(), x, LENGTHS, most=most)
    for row, count in enumerate(steps):
        assert len(streamed[row]) == count
        np.testing.assert_allclose(streamed[row], whole[row, :count], atol=1e-5)


def test_a_row_of_no_frame_is_one_step() -> None:
    layer = made()
    for x in (features(), features(0)):
        y, steps = layer(x, np.zeros(4, np.int32))
        np.testing.assert_array_equal(steps, [1, 1, 1, 1])
        assert y.shape[1] >= 1
        assert np.isfinite(y).all()
        assert not y[:, 1:].numpy().any()
    assert layer.steps(0) == 1


def test_shape_is_known_before_it_is_called() -> None:
    lengths = keras.Input((), dtype="int32")
    for frames, steps in ((None, None), (41, 7)):
        y, counts = ConvolutionSubsampling(**TWO)(keras.Input((frames, BANDS)), lengths)
        assert y.shape == (None, steps, 16)
        assert counts.shape == (None,)
        assert counts.dtype == "int32"


def test_half_precision_normalises_in_single() -> None:
    """Squares of values above 256 are beyond what 16 bits hold."""
    single, half = made(), made(dtype="mixed_float16")
    x = features() * 400
    y, _ = half(x, LENGTHS)
    assert y.dtype == tf.float16
    np.testing.assert_allclose(y, single(x, LENGTHS)[0], atol=0.03)


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": (3,)},
        {"kernels": ((0, 3), (4, 2))},
        {"strides": ((2, 2), (3, 0))},
        {"channels": (), "kernels": (), "strides": ()},
        {"norm": "batch"},
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        ConvolutionSubsampling(**{**TWO, **changes})


def test_what_sees_the_future_does_not_stream() -> None:
    with pytest.raises(ValueError, match="causal=True"):
        made().state_specs()
