"""The LSTM layer on a GPU: numbers, masks, states, dtypes, and what leaves the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from under_test import (
    BACKWARD,
    CPU,
    DEVICE,
    KERNEL,
    ON_A_CPU,
    ON_CPU,
    assert_same_direction,
    gpu_alone,
    kernels_run,
    needs_device,
)

from apps.export.gate import verify
from apps.layers import LSTM
from apps.layers.doctor import diagnose_model
from apps.layers.stack import LSTMStack

pytestmark = [pytest.mark.gpu, needs_device]
UNITS, FEATURES, STEPS = 24, 12, 20
MASKS = {
    "none": None,
    "padded behind, a row of nothing": np.arange(STEPS) < np.array([[STEPS], [0], [7], [1]]),
    "padded before, a row of nothing": np.arange(STEPS) >= np.array([[0], [STEPS], [7], [19]]),
    "holes": np.arange(STEPS) % np.array([[1], [2], [3], [5]]) == 0,
    "nothing at all": np.zeros((4, STEPS), bool),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "last": {},
    "sequences": {"return_sequences": True},
    "states": {"return_sequences": True, "return_state": True},
    "backwards": {"return_sequences": True, "return_state": True, "go_backwards": True},
    "zeros": {"return_sequences": True, "zero_output_for_mask": True},
    "chrono": {"return_sequences": True, "chrono": 30.0},
}
Made = Callable[..., keras.layers.Layer]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def given(dtype: str = "float32") -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Inputs and initial states."""
    states = [tf.constant(0.5 * drawn(4, UNITS, seed=seed), dtype) for seed in (1, 2)]
    return tf.constant(drawn(4, STEPS, FEATURES), dtype), states


def weights_of(layer: keras.layers.Layer) -> list[np.ndarray]:
    return [0.3 * drawn(*one.shape, seed=3 + i) for i, one in enumerate(layer.get_weights())]


def differentiated(layer: keras.layers.Layer, mask: Any, **call: Any) -> Any:
    @tf.function
    def run(x: tf.Tensor, states: list[tf.Tensor]) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs = tf.nest.flatten(layer(x, initial_state=states, mask=mask, **call))
            loss = tf.add_n([tf.reduce_sum(tf.sin(3.0 * tf.cast(o, x.dtype))) for o in outputs])
        sources = [x, *states, *(weight.value for weight in layer.trainable_weights)]
        return outputs, tape.gradient(loss, sources)

    return run


def on_both(make: Made, mask: Any, dtype: str = "float32", **call: Any) -> tuple[Any, Any]:
    """Outputs and gradients of the device under test and of the CPU, and which kernels ran."""
    found = []
    for device, kernels in ((DEVICE, {KERNEL, BACKWARD}), (CPU, set(ON_A_CPU))):
        with tf.device(device):
            x, states = given(dtype)
            layer = make(dtype=dtype)
            layer.build(x.shape)
            layer.set_weights(weights_of(layer))
            mask_here = None if mask is None else tf.constant(mask)
            run = differentiated(layer, mask_here, **call)
            found.append(run(x, states))
            ran = kernels_run(lambda run=run, x=x, states=states: run(x, states))
            assert ran == (set() if dtype == "float64" and device == CPU else kernels)
    return found[0], found[1]


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_numbers_and_gradients_are_those_of_the_cpu(options: Any, mask: Any, exact: None) -> None:
    (outputs, gradients), (expected, expected_gradients) = on_both(
        lambda **more: LSTM(UNITS, **options, **more), mask
    )
    for got, want in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5)
    for got, want in zip(gradients, expected_gradients, strict=True):
        assert_same_direction(got, want, 1e-4)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-10), ("float16", 1e-2), ("bfloat16", 6e-2)]
)
def test_other_dtypes_are_those_of_the_cpu(dtype: str, tolerance: float) -> None:
    mask = MASKS["padded behind, a row of nothing"]
    (outputs, _), (expected, _) = on_both(
        # Keras's own initialiser is orthogonal, which bfloat16 has no operation for.
        lambda **more: LSTM(
            UNITS,
            return_sequences=True,
            return_state=True,
            recurrent_initializer="glorot_uniform",
            **more,
        ),
        mask,
        dtype,
    )
    for got, want in zip(outputs, expected, strict=True):
        assert got.dtype == tf.as_dtype(dtype)
        np.testing.assert_allclose(
            tf.cast(got, tf.float64), tf.cast(want, tf.float64), atol=tolerance
        )


def test_whole_products_round_within_the_gates_tolerance_of_the_cpu() -> None:
    """A card's default for float32, with which models are trained and exported there."""
    (outputs, _), (expected, _) = on_both(lambda **more: LSTM(UNITS, **more), None)
    np.testing.assert_allclose(outputs[0], expected[0], atol=5e-3)


def test_row_of_nothing_gives_zeros_and_keeps_its_state() -> None:
    with tf.device(DEVICE):
        x, states = given()
        layer = LSTM(UNITS, return_state=True)
        mask = tf.constant(MASKS["padded behind, a row of nothing"])
        output, hidden, cell = tf.function(layer)(x, initial_state=states, mask=mask)
    assert not output[1].numpy().any()
    np.testing.assert_array_equal(hidden[1], states[0][1])
    np.testing.assert_array_equal(cell[1], states[1][1])


def test_states_handed_on_equal_the_whole(exact: None) -> None:
    with tf.device(DEVICE):
        x, _ = given()
        stack = LSTMStack(UNITS, 2, return_state=True)
        whole = stack(x)
        run = tf.function(lambda part, states: stack(part, initial_state=states))
        states: list[tf.Tensor] = [tf.zeros([4, UNITS])] * 4
        parts = []
        for part in tf.split(x, [3, 10, 7], 1):
            output, *states = run(part, states)
            parts.append(output)
    np.testing.assert_allclose(tf.concat(parts, 1), whole[0], atol=2e-5)
    for got, want in zip(states, whole[1:], strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5)


def test_dropped_weights_and_inputs_stay_on_the_kernel_and_learn() -> None:
    with tf.device(DEVICE):
        model = keras.Sequential([LSTM(16, weight_dropout=0.3, dropout=0.2), keras.layers.Dense(1)])
        x = drawn(64, STEPS, FEATURES)
        model.compile(keras.optimizers.Adam(0.02), "mse")
        losses: list[float] = []

        def fit() -> None:
            told = model.fit(x, x.mean((1, 2)), epochs=8, batch_size=16, verbose=0)
            losses.extend(told.history["loss"])

        assert kernels_run(fit) == {KERNEL, BACKWARD}
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("way", ["use_cudnn=False", "XLA"])
def test_what_is_kept_off_cudnn_gives_the_same_numbers(way: str, exact: None) -> None:
    with tf.device(DEVICE):
        x, _ = given()
        layer = LSTM(UNITS, use_cudnn=False if way == "use_cudnn=False" else "auto")
        layer.build(x.shape)
        layer.set_weights(weights_of(layer))
        run = tf.function(layer, jit_compile=way == "XLA")
        got = run(x)
        assert not any(name.startswith("Cudnn") for name in kernels_run(lambda: run(x)))
    with tf.device(CPU):
        reference = LSTM(UNITS)
        reference.build(x.shape)
        reference.set_weights(layer.get_weights())
        np.testing.assert_allclose(got, reference(tf.identity(x)), atol=2e-5)


@pytest.mark.parametrize("kind", [LSTM, keras.layers.LSTM], ids=["ours", "stock"])
def test_doctor_tells_what_runs(kind: Any) -> None:
    with tf.device(DEVICE):
        model = keras.Sequential([keras.Input((None, FEATURES)), kind(8)])
        (diagnosis,) = diagnose_model(model)
        run = tf.function(model)
        x, _ = given()
        run(x)
        ran = kernels_run(lambda: run(x))
    told = diagnosis.cpu if ON_CPU else diagnosis.gpu
    assert ran == ({told} if told.startswith(("Cudnn", "Block")) else set())


@gpu_alone
@pytest.mark.parametrize("mask", ["padded before, a row of nothing", "nothing at all"])
def test_stock_keras_stops_at_masks_that_ours_takes(mask: str) -> None:
    """The doctor and docs/engine.md say so of it."""
    with tf.device(DEVICE):
        x, _ = given()
        stock = keras.layers.LSTM(UNITS)
        with pytest.raises(Exception, match=r"(?i)mask|length|cudnn"):
            stock(x, mask=tf.constant(MASKS[mask])).numpy()


@gpu_alone
def test_gate_refuses_a_stock_layer_exported_here(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, FEATURES)), keras.layers.LSTM(8)])
    model.export(tmp_path / "1", verbose=False)
    assert not verify(tmp_path / "1", log=lambda line: None).passed
