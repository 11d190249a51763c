"""The requests made to a version: its warm-up records, and inputs made from its signatures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import input_pb2, predict_pb2, prediction_log_pb2

from apps.errors import UserError
from apps.export.gate.graph import Version
from apps.export.gate.verdict import RefusedError
from apps.export.golden import MOST_RECORDS, WARM_UP, read_records

DEFAULT = "serving_default"
WRITE_AGAIN = "write the warm-up file again; TensorFlow Serving would refuse the version"
MOST_ELEMENTS = 50_000_000
# Sizes to fill in where a signature leaves them open, each with a text for string inputs.
MADE_UP = ((1, b""), (2, b"a b"))


@dataclass(frozen=True)
class Request:
    """One run of a signature.

    Attributes:
        name: how messages name it, such as `record 3`.
        signature: the signature's name.
        inputs: arrays by tensor name; texts are object arrays of `bytes`.
        outputs: tensor names by the names that a client sees.
        golden: the answer it must get, by the same names; `None` if unknown.
        made_up: whether the inputs were made from the signature and may make no sense to the model.
    """

    name: str
    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, str]
    golden: dict[str, np.ndarray] | None = None
    made_up: bool = False

    def __str__(self) -> str:
        return f"{self.name} to signature {self.signature}"


def requests_for(version: Version) -> list[Request]:
    """All warm-up records, then two made-up requests for each signature without a record.

    Raises:
        RefusedError: the warm-up file is damaged, too long or does not match the signatures, or
            this package's export lacks it.
    """
    recorded = _recorded(version) if (version.folder / WARM_UP).exists() else []
    if version.ours and not recorded:
        raise RefusedError(f"{WARM_UP} with the golden answers is missing", WRITE_AGAIN)
    asked = {request.signature for request in recorded}
    return recorded + [
        request
        for name in sorted(set(version.signatures) - asked)
        for request in _made_up(name, version.signatures[name])
    ]


def _recorded(version: Version) -> list[Request]:
    found: list[Request] = []
    try:
        records = read_records(version.folder / WARM_UP)
        for number, log in enumerate(itertools.islice(records, MOST_RECORDS + 1), start=1):
            if number > MOST_RECORDS:
                raise RefusedError(f"{WARM_UP} holds more than {MOST_RECORDS} records", WRITE_AGAIN)
            found.extend(_requests_of(f"record {number}", log, version.signatures))
    except UserError as error:
        reason = str(error).removeprefix(f"{version.folder}/").rpartition(";")[0]
        raise RefusedError(reason, WRITE_AGAIN) from error
    return found


def _requests_of(
    name: str,
    log: prediction_log_pb2.PredictionLog,
    signatures: Mapping[str, meta_graph_pb2.SignatureDef],
) -> Iterator[Request]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        yield _predict(name, log.predict_log, signatures)
    elif kind in ("classify_log", "regress_log"):
        asked = getattr(log, kind).request
        yield _examples(name, asked.model_spec.signature_name, asked.input, signatures)
    elif kind == "multi_inference_log":
        asked = log.multi_inference_log.request
        for task in asked.tasks:
            yield _examples(name, task.model_spec.signature_name, asked.input, signatures)
    elif kind is not None:
        raise RefusedError(f"{name} is a {kind}, which cannot warm a model up", WRITE_AGAIN)


def _predict(
    name: str,
    log: prediction_log_pb2.PredictLog,
    signatures: Mapping[str, meta_graph_pb2.SignatureDef],
) -> Request:
    asked: predict_pb2.PredictRequest = log.request
    called, signature = _signature(name, asked.model_spec.signature_name, signatures)
    if set(asked.inputs) != set(signature.inputs):
        raise RefusedError(
            f"{name} has the inputs {_listed(asked.inputs)}, "
            f"but signature {called} takes {_listed(signature.inputs)}",
            WRITE_AGAIN,
        )
    for key, tensor in asked.inputs.items():
        wanted = signature.inputs[key].dtype
        if tensor.dtype != wanted:
            raise RefusedError(
                f"{name}: input {key} is {_dtype(tensor.dtype)}, "
                f"but signature {called} takes {_dtype(wanted)}",
                WRITE_AGAIN,
            )
    outputs = {key: output.name for key, output in signature.outputs.items()}
    if asked.output_filter:
        outputs = {key: tensor for key, tensor in outputs.items() if key in asked.output_filter}
    golden = {key: _array(name, key, tensor) for key, tensor in log.response.outputs.items()}
    if golden and set(golden) != set(outputs):
        raise RefusedError(
            f"{name} has golden answers {_listed(golden)}, "
            f"but signature {called} gives {_listed(outputs)}",
            "export the model again",
        )
    inputs = {
        signature.inputs[key].name: _array(name, key, tensor)
        for key, tensor in asked.inputs.items()
    }
    return Request(name, called, inputs, outputs, golden or None)


def _examples(
    name: str,
    called: str,
    asked: input_pb2.Input,
    signatures: Mapping[str, meta_graph_pb2.SignatureDef],
) -> Request:
    """A request of `tf.Example`s, which reach the model serialised in one input."""
    called, signature = _signature(name, called, signatures)
    if asked.WhichOneof("kind") == "example_list_with_context":
        context = asked.example_list_with_context.context
        examples = []
        for example in asked.example_list_with_context.examples:
            merged = type(example)()
            merged.CopyFrom(context)
            merged.MergeFrom(example)
            examples.append(merged)
    else:
        examples = list(asked.example_list.examples)
    if len(signature.inputs) != 1:
        raise RefusedError(f"{name}: signature {called} does not take examples", WRITE_AGAIN)
    (tensor,) = signature.inputs.values()
    serialised = np.array([example.SerializeToString() for example in examples], dtype=object)
    outputs = {key: output.name for key, output in signature.outputs.items()}
    return Request(name, called, {tensor.name: serialised}, outputs)


def _signature(
    name: str, called: str, signatures: Mapping[str, meta_graph_pb2.SignatureDef]
) -> tuple[str, meta_graph_pb2.SignatureDef]:
    called = called or DEFAULT
    if called not in signatures:
        raise RefusedError(
            f"{name} asks for signature {called}, but there is only {_listed(signatures)}",
            WRITE_AGAIN,
        )
    return called, signatures[called]


def _made_up(name: str, signature: meta_graph_pb2.SignatureDef) -> list[Request]:
    """Requests that match the signature in types and ranks, but perhaps in nothing else."""
    requests = []
    for size, text in MADE_UP:
        inputs = {info.name: _filled(info, size, text) for info in signature.inputs.values()}
        known = {key: value for key, value in inputs.items() if value is not None}
        outputs = {key: output.name for key, output in signature.outputs.items() if output.name}
        if len(known) == len(signature.inputs) and outputs:
            title = f"made-up request of size {size}"
            requests.append(Request(title, name, known, outputs, made_up=True))
    return requests


def _filled(info: meta_graph_pb2.TensorInfo, size: int, text: bytes) -> np.ndarray | None:
    """A tensor for a signature's input; `None` for types that hold no plain values."""
    dtype = tf.dtypes.as_dtype(info.dtype)
    if not info.name or not (dtype == tf.string or dtype.is_bool or dtype.is_numeric):
        return None
    if info.tensor_shape.unknown_rank:
        shape = [size]
    else:
        shape = [dim.size if dim.size >= 0 else size for dim in info.tensor_shape.dim]
    if np.prod(shape, dtype=float) > MOST_ELEMENTS:
        return None
    if dtype == tf.string:
        return np.full(shape, text, dtype=object)
    # An integer may be a length or a position in a table; 1 is safer than 0 for both.
    return np.full(shape, 1 if dtype.is_integer else 0, dtype=dtype.as_numpy_dtype)


def _array(name: str, key: str, tensor: tensor_pb2.TensorProto) -> np.ndarray:
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError, KeyError) as error:
        raise RefusedError(f"{name}: tensor {key} is damaged ({error})", WRITE_AGAIN) from error


def _dtype(number: int) -> str:
    return tf.dtypes.as_dtype(number).name


def _listed(names: Mapping[str, Message] | Mapping[str, np.ndarray] | Mapping[str, str]) -> str:
    return ", ".join(sorted(names)) or "none"
