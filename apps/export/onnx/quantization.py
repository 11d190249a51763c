"""ONNX files whose weights are 8-bit numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf

from apps.errors import UserError, cause_of
from apps.export.agreement import FLOAT32, INT8, Agreement, Arrays, Call, agreement, answers
from apps.export.onnx.conversion import in_float32, outputs_by_name

KINDS = (FLOAT32, INT8)


def quantize(file: Path, target: Path, name: str) -> None:
    """Write a file with 8-bit weights in its LSTMs and products.

    What they are multiplied by is rounded to 8 bits at every call, in the range that it has there.
    States stay float32.

    Raises:
        UserError: onnxruntime cannot do it; names the model.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    before = root.level
    # It advises to run a pass that is for other kinds of networks.
    root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(str(file), str(target), weight_type=QuantType.QInt8)
    # It raises errors of many kinds without a common base.
    except Exception as error:
        raise UserError(
            f"{name}: cannot be made of 8-bit numbers ({cause_of(error)}); export with --onnx"
        ) from error
    finally:
        root.setLevel(before)


def compared(
    files: Mapping[str, Path],
    model: keras.Model,
    rows: list[Arrays],
    classes: bool,
    truth: np.ndarray | None,
) -> dict[str, Agreement]:
    """How each kind of file compares with the model on prepared rows."""

    def own(**given: np.ndarray) -> Mapping[str, tf.Tensor]:
        with in_float32(model), tf.device("CPU:0"):
            tensors = tuple(tf.constant(value) for value in given.values())
            return outputs_by_name(model, list(given), tensors)

    names = [tensor.name for tensor in model.inputs]
    asked = [[{name: row[name] for name in names}] for row in rows]
    wanted = answers(own, asked, {})
    return {
        kind: agreement(
            _opened(file), file.stat().st_size, asked, wanted, classes=classes, truth=truth
        )
        for kind, file in files.items()
    }


def _opened(file: Path) -> Call:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return lambda **given: dict(zip(names, session.run(names, given), strict=True))
