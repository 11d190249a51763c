"""TensorFlow Serving's JSON of classify and regress: named features to `tf.Example` and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow.core.example.example_pb2 import Example
from tensorflow.core.example.feature_pb2 import Feature
from tensorflow_serving.apis.classification_pb2 import ClassificationResult
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.regression_pb2 import RegressionResult

from apps.serving.errors import ServingError, invalid
from apps.serving.rest.json_values import (
    decode_base64,
    encode_text,
    excerpt,
    float_tokens,
    is_base64,
    json_type,
    text_token,
)

INT64 = np.iinfo(np.int64)
FLOAT32 = float(np.finfo(np.float32).max)

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def read_examples(document: Mapping[str, Any]) -> Input:
    """The examples of a classify or regress request.

    Args:
        document: the parsed body: `examples`, a list of objects of features, and `context`, an
            object of features that all examples share.

    Returns:
        The message in which gRPC carries them.

    Raises:
        ServingError: INVALID_ARGUMENT where a feature is no number, text, base64 value or list of
            one kind of these.
    """
    found = Input()
    with_context = "context" in document
    if with_context:
        _fill(found.example_list_with_context.context, document["context"])
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} When method is classify, key 'examples' is expected "
            "and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid(
            f"JSON Value: {excerpt(document)} Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise invalid(f"JSON Value: {excerpt(document)} 'examples' value is an empty array")
    target = found.example_list_with_context if with_context else found.example_list
    for features in examples:
        _fill(target.examples.add(), features)
    return found


def write_classifications(result: ClassificationResult) -> bytes:
    """The body of a classify answer: `{"results": [[[label, score], …] one list a row]}`."""
    rows = []
    for row in result.classifications:
        scores = float_tokens(np.array([entry.score for entry in row.classes], dtype=np.float32))
        pairs = zip(row.classes, scores, strict=True)
        listed = ", ".join(f"[{text_token(entry.label)}, {score}]" for entry, score in pairs)
        rows.append(f"[{listed}]")
    return _results(rows)


def write_regressions(result: RegressionResult) -> bytes:
    """The body of a regress answer: `{"results": [one number a row]}`."""
    values = np.array([row.value for row in result.regressions], dtype=np.float32)
    return _results(float_tokens(values))


def _results(rows: list[str]) -> bytes:
    return ('{"results": [' + ", ".join(rows) + "]}").encode()


def _fill(example: Example, features: Any) -> None:
    if not isinstance(features, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_type(features)}")
    for name, content in features.items():
        feature = example.features.feature[encode_text(name).decode()]
        for value in content if isinstance(content, list) else [content]:
            _add(feature, name, value)


def _add(feature: Feature, name: str, value: Any) -> None:
    if isinstance(value, str):
        _list(feature, name, "bytes_list").append(encode_text(value))
    elif is_base64(value):
        _list(feature, name, "bytes_list").append(decode_base64(value))
    elif isinstance(value, float):
        if FLOAT32 < abs(value) < float("inf"):
            raise invalid(
                f"Cannot convert JSON value: {excerpt(value)} to float without loss of precision."
            )
        _list(feature, name, "float_list").append(value)
    elif isinstance(value, int):  # true and false too
        if not INT64.min <= value <= INT64.max:
            raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
        _list(feature, name, "int64_list").append(int(value))
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")


def _list(feature: Feature, name: str, kind: str) -> Any:
    if feature.WhichOneof("kind") not in (None, kind):
        raise _mixed(name, feature)
    return getattr(feature, kind).value


def _mixed(name: str, feature: Feature) -> ServingError:
    kind = _KINDS[str(feature.WhichOneof("kind"))]
    return invalid(f"Unexpected element type in feature: {name} expecting type: {kind}")
