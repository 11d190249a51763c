"""Every form of LSTM becomes the fused operation, with Keras's numbers; the rest is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest

from apps.errors import UserError
from apps.export.onnx.comparison import TOLERANCE, compare
from apps.export.onnx.conversion import convert, directions, operations
from apps.layers import LSTM, LSTMStack
from apps.layers.pooling import LengthMask

ROWS, STEPS, FEATURES, UNITS = 5, 6, 3, 4
STATES = {
    "state_h": keras.Input((UNITS,), name="state_h"),
    "state_c": keras.Input((UNITS,), name="state_c"),
}
# Full, padded on the right, on the left, with holes, and nothing at all.
MASKS = np.array(
    [[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0] * 6], bool
)


def check(model: keras.Model, expected_directions: int, **given: np.ndarray) -> list[str]:
    """Compare a model with its ONNX graph in onnxruntime; give the graph's operations."""
    converted = convert(model, "model")
    assert directions(converted.graph) == expected_directions
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    wanted = model(given)
    wanted = wanted if isinstance(wanted, dict) else {"outputs": wanted}
    for name, found in zip(wanted, session.run(list(wanted), given), strict=True):
        assert found.shape == wanted[name].shape
        np.testing.assert_allclose(found, wanted[name], atol=1e-6, err_msg=name)
    return [node.op_type for node in operations(converted.graph)]


def steps() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((ROWS, STEPS, FEATURES)).astype(np.float32)


def state(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ROWS, UNITS)).astype(np.float32)


def both(**settings: Any) -> keras.layers.Layer:
    return keras.layers.Bidirectional(LSTM(UNITS, **settings))


FORMS: list[tuple[str, Callable[[], keras.layers.Layer], int]] = [
    ("all steps", lambda: LSTM(UNITS, return_sequences=True), 1),
    ("last step", lambda: LSTM(UNITS), 1),
    ("backwards", lambda: LSTM(UNITS, return_sequences=True, go_backwards=True), 1),
    ("backwards, last step", lambda: LSTM(UNITS, go_backwards=True), 1),
    ("both ways", lambda: both(return_sequences=True), 2),
    ("both ways, last step", lambda: both(), 2),
    ("stack", lambda: LSTMStack(units=[UNITS, 3], bidirectional=True), 4),
]


@pytest.mark.parametrize("mask", ["none", "lengths", "any"])
@pytest.mark.parametrize(("make", "count"), [form[1:] for form in FORMS], ids=[f[0] for f in FORMS])
def test_each_form_of_lstm_is_fused(
    make: Callable[[], keras.layers.Layer], count: int, mask: str
) -> None:
    x = keras.Input((None, FEATURES), name="x")
    inputs, given, seen = {"x": x}, {"x": steps()}, None
    if mask == "lengths":
        inputs["lengths"] = keras.Input((), dtype="int32", name="lengths")
        given["lengths"] = np.array([STEPS, 1, 0, 4, 2], np.int32)
        seen = LengthMask()(x[..., 0], inputs["lengths"])
    elif mask == "any":
        seen = inputs["mask"] = keras.Input((None,), dtype="bool", name="mask")
        given["mask"] = MASKS
    kinds = check(keras.Model(inputs, make()(x, mask=seen)), count, **given)
    if mask != "any":
        assert not {"TopK", "GatherND", "If"} & set(kinds)
    if mask != "any" and count > 1:
        assert kinds.count("LSTM") == count // 2
        assert "ReverseSequence" not in kinds


@pytest.mark.parametrize("zero_masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_states_go_in_and_out_past_rows_of_no_steps(zero_masked: bool, backwards: bool) -> None:
    x = keras.Input((None, FEATURES), name="x")
    mask = keras.Input((None,), dtype="bool", name="mask")
    layer = LSTM(
        UNITS,
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=zero_masked,
        go_backwards=backwards,
    )
    results = layer(x, mask=mask, initial_state=list(STATES.values()))
    outputs = dict(zip(("outputs", "next_h", "next_c"), results, strict=True))
    model = keras.Model({"x": x, "mask": mask, **STATES}, outputs)
    check(model, 1, x=steps(), mask=MASKS, state_h=state(1), state_c=state(2))


def test_a_model_of_half_precision_computes_in_full() -> None:
    policy = keras.DTypePolicy("mixed_float16")
    x = keras.Input((None, FEATURES), name="x")
    half = keras.Model({"x": x}, LSTMStack(units=UNITS, bidirectional=True, dtype=policy)(x))
    full = keras.Model({"x": x}, LSTMStack(units=UNITS, bidirectional=True)(x))
    full.set_weights(half.get_weights())
    session = onnxruntime.InferenceSession(convert(half, "half").SerializeToString())
    (found,) = session.run(None, {"x": steps()})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, full({"x": steps()}), atol=1e-6)
    assert half.layers[-1].compute_dtype == "float16"


def test_the_exact_gelu_goes_to_onnx() -> None:
    x = keras.Input((None, FEATURES), name="x")
    check(keras.Model({"x": x}, keras.activations.gelu(LSTM(UNITS)(x))), 1, x=steps())


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_quotients_and_remainders_of_negative_numbers_round_down(dtype: str) -> None:
    shape = (ROWS, STEPS)
    x, y = (keras.Input(shape[1:], dtype=dtype, name=name) for name in "xy")
    outputs = {"quotient": keras.ops.floor_divide(x, y), "rest": keras.ops.mod(x, y)}
    draw = np.random.default_rng(0)
    given = draw.integers(-100, 100, shape), draw.choice([-7, -3, 3, 7], shape)
    arrays = {name: value.astype(dtype) for name, value in zip("xy", given, strict=True)}
    check(keras.Model({"x": x, "y": y}, outputs), 0, **arrays)


def test_random_batches_of_other_sizes_agree(tmp_path: Path) -> None:
    ids = keras.Input((None,), dtype="int32", name="ids")
    lengths = keras.Input((), dtype="int32", name="lengths")
    counted = keras.Input((None,), dtype="bool", name="counted")
    x = keras.layers.Embedding(9, UNITS)(ids)
    x = LSTMStack(units=[UNITS, 3], bidirectional=True)(x, mask=LengthMask()(ids, lengths))
    outputs = {"steps": x, "last": both()(x, mask=counted)}
    model = keras.Model({"ids": ids, "lengths": lengths, "counted": counted}, outputs)
    file = tmp_path / "model.onnx"
    file.write_bytes(convert(model, "model").SerializeToString())
    draw, batches = np.random.default_rng(0), []
    for shape in ((1, 1), (3, 1), (4, 50)):
        given = {
            "ids": draw.integers(0, 9, shape),
            "lengths": draw.integers(1, shape[1] + 1, shape[0]),
        }
        counts = {name: value.astype(np.int32) for name, value in given.items()}
        batches.append({**counts, "counted": draw.random(shape) < 0.7})
    assert compare(file, model, "model", batches) <= TOLERANCE


def test_text_is_refused() -> None:
    text = keras.Input((), dtype="string", name="text")
    with pytest.raises(UserError, match="the input 'text' is text"):
        convert(keras.Model({"text": text}, text), "model")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: keras.layers.GRU(UNITS, name="gru"), r"Loop .* GRU 'gru'; use apps\.layers\.LSTM"),
        (lambda: LSTM(UNITS, use_cudnn=False, name="apart"), "BlockLSTMV2 .* LSTM 'apart'"),
        (lambda: keras.layers.Lambda(lambda x: keras.ops.erfinv(x)), "ONNX has no Erfinv"),
    ],
)
def test_what_has_no_place_in_onnx_is_named(make: Callable[[], Any], complaint: str) -> None:
    x = keras.Input((None, FEATURES), name="x")
    with pytest.raises(UserError, match=complaint):
        convert(keras.Model({"x": x}, make()(x)), "model")
