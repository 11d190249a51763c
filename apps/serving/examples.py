"""Classify and Regress: requests that carry `tf.Example`, for signatures made for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis.classification_pb2 import ClassificationResult
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.regression_pb2 import RegressionResult

from apps.serving.errors import invalid, precondition
from apps.serving.models.served import Answer, Choice, Models

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"


async def classify(
    models: Models, choice: Choice, signature: str, examples: Input, timeout_s: float | None
) -> tuple[Answer, ClassificationResult]:
    """Labels and scores of examples, from a signature of the classify method.

    Args:
        models: what is served.
        choice: the model and version.
        signature: the signature's name.
        examples: `tf.Example` messages, with a context they share or without.
        timeout_s: seconds until the answer must be there, or None.

    Raises:
        ServingError: as TensorFlow Serving refuses it.
    """
    _, _, signatures = models.signatures(choice)
    found = _signature(signatures, signature, CLASSIFY, "classification")
    if not {CLASSES, SCORES} & set(found.outputs):
        raise precondition(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}".'
        )
    rows = _serialized(examples)
    wanted = [name for name in (CLASSES, SCORES) if name in found.outputs]
    answer = await models.predict(choice, signature, {INPUTS: rows}, wanted, timeout_s)
    for name in wanted:
        _check_matrix(name, answer.outputs[name], len(rows))
    classes, scores = answer.outputs.get(CLASSES), answer.outputs.get(SCORES)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(
            "Tensors class and score should match in dim_size(1). "
            f"Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = ClassificationResult()
    columns = range(answer.outputs[wanted[0]].shape[1])
    for place in range(len(rows)):
        row = result.classifications.add()
        for column in columns:
            entry = row.classes.add()
            if classes is not None:
                entry.label = _text(classes[place, column])
            if scores is not None:
                entry.score = scores[place, column]
    return answer, result


async def regress(
    models: Models, choice: Choice, signature: str, examples: Input, timeout_s: float | None
) -> tuple[Answer, RegressionResult]:
    """A number for each example, from a signature of the regress method; see `classify`."""
    _, _, signatures = models.signatures(choice)
    found = _signature(signatures, signature, REGRESS, "regression")
    if OUTPUTS not in found.outputs:
        raise precondition("No regression outputs found in SignatureDef")
    rows = _serialized(examples)
    answer = await models.predict(choice, signature, {INPUTS: rows}, [OUTPUTS], timeout_s)
    values = answer.outputs[OUTPUTS]
    if values.shape not in ((len(rows),), (len(rows), 1)):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{list(values.shape)}"
        )
    if values.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT. Got: {values.dtype.name}")
    result = RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return answer, result


def _signature(
    signatures: Mapping[str, SignatureDef], name: str, method: str, task: str
) -> SignatureDef:
    if name not in signatures:
        raise invalid(f"No signature was found with the name: {name}")
    found = signatures[name]
    if found.method_name != method:
        raise invalid(
            f"Expected {task} signature method_name to be {method}. Was: {found.method_name}"
        )
    if len(found.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if INPUTS not in found.inputs:
        raise precondition(f"No {task} inputs found in SignatureDef")
    return found


def _serialized(examples: Input) -> np.ndarray:
    """Serialized `tf.Example` messages, an object array `(rows,)`."""
    if examples.WhichOneof("kind") == "example_list_with_context":
        shared = examples.example_list_with_context.context.SerializeToString()
        listed = examples.example_list_with_context.examples
    else:
        shared, listed = b"", examples.example_list.examples
    if not listed:
        raise invalid("Input is empty.")
    rows = np.empty(len(listed), dtype=object)
    # Two serialized messages in a row parse as one message with the fields of both.
    rows[:] = [shared + example.SerializeToString() for example in listed]
    return rows


def _check_matrix(name: str, array: np.ndarray, rows: int) -> None:
    if array.ndim != 2:
        raise invalid(
            f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}"
        )
    kinds, dtype = ("OSU", "DT_STRING") if name == CLASSES else ("f", "DT_FLOAT")
    if array.dtype.kind not in kinds or (name == SCORES and array.dtype != np.float32):
        raise invalid(f"Expected {name} Tensor of {dtype}. Got: {array.dtype.name}")
    if len(array) != rows:
        raise invalid(f"Expected {name} output batch size of {rows}. Got: {len(array)}")


def _text(label: bytes) -> str:
    # A protobuf string must be UTF-8; what is not is replaced.
    return label.decode(errors="replace")
