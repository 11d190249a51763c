"""An ONNX file opened in onnxruntime, its answers compared with TensorFlow's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf

from apps.errors import UserError, cause_of
from apps.export.onnx.conversion import in_float32, outputs_by_name

TOLERANCE = 1e-5


def compare(
    file: Path, model: keras.Model, name: str, batches: Iterable[Mapping[str, np.ndarray]]
) -> float:
    """Check a file and compare it with the model that it was made from.

    Args:
        file: an ONNX file.
        model: the Keras model, functional.
        name: the model's name in messages.
        batches: the inputs to compare on, by name, each of its own shape.

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
    # onnx and onnxruntime raise errors of many kinds without a common base.
    except Exception as error:
        raise _refusal(name, "cannot be opened", error) from error
    differences = []
    for given in batches:
        named = {tensor.name: given[tensor.name] for tensor in model.inputs}
        shapes = ", ".join(f"{key} {value.shape}" for key, value in named.items())
        with in_float32(model), tf.device("CPU:0"):
            tensors = tuple(tf.constant(value) for value in named.values())
            expected = outputs_by_name(model, list(named), tensors)
        try:
            found = session.run(list(expected), named)
        except Exception as error:
            raise _refusal(name, f"cannot run {shapes}", error) from error
        for key, value in zip(expected, found, strict=True):
            difference = _difference(expected[key].numpy(), value)
            # This form also refuses NaN.
            if not difference <= TOLERANCE:
                raise UserError(
                    f"{name}: onnxruntime's '{key}' differs from TensorFlow's by {difference:.1e} "
                    f"for {shapes}, more than {TOLERANCE:.0e}; export without --onnx"
                )
            differences.append(difference)
    return max(differences)


def _difference(wanted: np.ndarray, found: np.ndarray) -> float:
    if wanted.shape != found.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    if wanted.dtype == bool:
        return float(np.mean(found != wanted))
    # A long recurrence and a sum over thousands of words round differently in each program, in
    # proportion to their large values, not to an output that happens to be near zero.
    return float(np.max(np.abs(found - wanted)) / max(1.0, float(np.max(np.abs(wanted)))))


def _refusal(name: str, what: str, error: Exception) -> UserError:
    return UserError(f"{name}: {what} in onnxruntime ({cause_of(error)}); export without --onnx")
