"""A file opened in onnxruntime, its answers beside TensorFlow's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf

from apps.errors import UserError
from apps.export.onnx.conversion import in_float32, outputs_by_name

TOLERANCE = 1e-5
# Rows and steps of the batches that are compared.
BATCHES = ((1, 1), (1, 7), (3, 1), (3, 7), (4, 250))
_SIGNAL_STEPS = 64


def compare(file: Path, model: keras.Model, name: str) -> float:
    """Check a file and compare it with the model that it was made of.

    Args:
        file: an ONNX file.
        model: the Keras model, functional.
        name: the model's name in messages.

    Returns:
        The largest difference from TensorFlow's outputs, divided by the largest output of the
        batch where that is more than 1.

    Raises:
        UserError: onnxruntime cannot open the file or run it, or its answers differ.
    """
    import onnxruntime

    try:
        onnx.checker.check_model(str(file), full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
    # Both raise errors of many kinds, with no base of their own.
    except Exception as error:
        raise _refusal(name, "cannot be opened", error) from error
    differences = []
    for seed, (rows, steps) in enumerate(BATCHES):
        given = example(model, rows, steps, seed)
        try:
            with in_float32(model), tf.device("CPU:0"):
                tensors = tuple(tf.constant(value) for value in given.values())
                expected = outputs_by_name(model, list(given), tensors)
        except (ValueError, tf.errors.OpError):
            # Too short for this model in TensorFlow too.
            continue
        try:
            found = session.run(list(expected), given)
        except Exception as error:
            raise _refusal(name, f"cannot run {rows} × {steps}", error) from error
        for key, value in zip(expected, found, strict=True):
            difference = _difference(expected[key].numpy(), value)
            # Also refuses what is not a number.
            if not difference <= TOLERANCE:
                raise UserError(
                    f"{name}: onnxruntime's '{key}' differs from TensorFlow's by {difference:.1e} "
                    f"for {rows} × {steps}, more than {TOLERANCE:.0e}; export without --onnx"
                )
            differences.append(difference)
    if not differences:
        raise UserError(
            f"{name}: TensorFlow cannot run it on random inputs of up to {max(BATCHES)[1]} steps, "
            "so that nothing can be compared; export without --onnx"
        )
    return max(differences)


def example(model: keras.Model, rows: int, steps: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs of a model.

    A vector of integers holds lengths, from 1 to all steps; other integers are ids that every
    embedding of the model has, the first of them 0; floats are normal; seven truths in ten are
    true. A matrix of floats is a signal, whose steps are short: it gets 64 times as many.

    Args:
        model: the Keras model, functional.
        rows: the size of the first axis.
        steps: the size of other axes that the model leaves open.
        seed: seeds the draw.
    """
    draw = np.random.default_rng(seed)
    layers = model._flatten_layers(include_self=False)
    sizes = [layer.input_dim for layer in layers if isinstance(layer, keras.layers.Embedding)]
    given: dict[str, np.ndarray] = {}
    if any(tensor.dtype == "float32" and tensor.shape[1:] == (None,) for tensor in model.inputs):
        steps *= _SIGNAL_STEPS
    for tensor in model.inputs:
        shape = [rows, *(steps if size is None else size for size in tensor.shape[1:])]
        dtype: Any = np.dtype(tensor.dtype)
        value: np.ndarray
        if dtype.kind == "b":
            value = draw.random(shape) < 0.7
        elif dtype.kind not in "iu":
            value = draw.standard_normal(shape)
        elif len(shape) == 1:
            value = draw.integers(1, steps + 1, shape)
            value[:2] = [steps, 1][:rows]
        else:
            value = draw.integers(0, min(sizes, default=2), shape)
            value.flat[0] = 0
        given[tensor.name] = np.asarray(value, dtype)
    return given


def _difference(wanted: np.ndarray, found: np.ndarray) -> float:
    if wanted.shape != found.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    # A long recurrence and a sum over thousands of words round differently in each program, by a
    # share of what is large in them, not of the output that happens to be near zero.
    return float(np.max(np.abs(found - wanted)) / max(1.0, float(np.max(np.abs(wanted)))))


def _refusal(name: str, what: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(
        f"{name}: {what} in onnxruntime ({type(error).__name__}: {reason}); export without --onnx"
    )
