"""The gRPC services, asked through the official stubs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import protocol_server
import protocol_toys
import pytest
import tensorflow as tf
from protocol_server import HANG_S, Server, Waiting
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from apps.serving.rpc.servicers import MESSAGE
from apps.serving.rpc.tensor_protos import from_proto, to_proto

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def server(protocols: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes 1 MiB."""
    folder = protocol_server.publish_toy(tmp_path_factory.mktemp("rpc") / "models", protocols)
    with protocol_server.serving(folder, max_request_mb=1) as running:
        yield running


@pytest.fixture(autouse=True)
def _lives_on(server: Server) -> Iterator[None]:
    """Whatever a test did to it, the server answers the next client."""
    yield
    answer = server.predictions.Predict(request(text=[b"still here"]), timeout=HANG_S)
    assert answer.outputs["text"].string_val == [b"still here"]


def request(signature: str = "", **inputs: Any) -> predict_pb2.PredictRequest:
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "toy"
    message.model_spec.signature_name = signature
    for name, value in inputs.items():
        given = value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        message.inputs[name].CopyFrom(given)
    return message


def failure(call: Callable[..., Any], message: Any, **options: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(message, **{"timeout": HANG_S, **options})
    assert "Traceback" not in caught.value.details()
    return caught.value.code(), caught.value.details()


def test_an_answer_names_its_model_and_holds_typed_values(server: Server) -> None:
    answer = server.predictions.Predict(request(text=[b"a", b"\xff\xfe"]))
    assert answer.model_spec.name == "toy"
    assert answer.model_spec.version.value == 1
    assert answer.model_spec.signature_name == "serving_default"
    assert set(answer.outputs) == {"text", "raw_bytes", "length"}
    assert answer.outputs["text"].string_val == [b"a", b"\xff\xfe"]
    assert answer.outputs["length"].int_val == [1, 2]
    negated = server.predictions.Predict(request("negate", x=np.ones((2, 2), np.float32)))
    assert negated.outputs["y"].float_val == [-1, -1, -1, -1]
    assert [dim.size for dim in negated.outputs["y"].tensor_shape.dim] == [2, 2]
    assert negated.model_spec.signature_name == "negate"


def test_every_type_and_both_forms(server: Server) -> None:
    values: dict[str, Any] = {
        "half": np.float16(0.5),
        "double": np.float64(1e300),
        "byte": np.uint8(255),
        "long": np.int64(-(2**63)),
        "unsigned": np.uint64(2**64 - 1),
        "flag": np.bool_(True),
    }
    for encode in (lambda value: to_proto(np.asarray(value)), _as_content):
        protos = {name: encode(value) for name, value in values.items()}
        answer = server.predictions.Predict(request("types", **protos))
        for name, value in values.items():
            got = tf.make_ndarray(answer.outputs[f"{name}_out"])
            assert got.dtype == value.dtype
            assert got == value


def test_strings_as_content(server: Server) -> None:
    packed = TensorProto(dtype=tf.string.as_datatype_enum, tensor_content=b"\x01\x02\x00abc")
    packed.tensor_shape.dim.add(size=3)
    answer = server.predictions.Predict(request(text=packed))
    assert answer.outputs["text"].string_val == [b"a", b"bc", b""]


def test_an_unfinished_list_of_values_is_filled_as_tensorflow_fills_it() -> None:
    def decoded(**fields: Any) -> np.ndarray:
        proto = TensorProto(dtype=tf.int32.as_datatype_enum, **fields)
        proto.tensor_shape.dim.add(size=3)
        return from_proto("x", proto, 1000)

    assert decoded(int_val=[1, 2]).tolist() == [1, 2, 2]
    assert decoded().tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.complex64, tf.bfloat16.as_numpy_dtype, np.uint16])
def test_rare_types_keep_their_values(dtype: Any) -> None:
    values = np.arange(6).reshape(2, 3).astype(dtype)
    np.testing.assert_array_equal(from_proto("x", to_proto(values), 1000), values)
    np.testing.assert_array_equal(tf.make_ndarray(to_proto(values)), values)


def test_outputs_can_be_chosen(server: Server) -> None:
    asked = request(text=[b"a"])
    asked.output_filter.append("length")
    assert list(server.predictions.Predict(asked).outputs) == ["length"]
    asked.output_filter.append("none")
    code, message = failure(server.predictions.Predict, asked)
    assert code is Code.INVALID_ARGUMENT
    assert "output tensor alias not found in signature: none" in message


def test_versions_and_labels(server: Server) -> None:
    asked = request(text=[b"a"])
    asked.model_spec.version.value = 1
    assert server.predictions.Predict(asked).model_spec.version.value == 1
    asked.model_spec.version_label = "stable"
    assert server.predictions.Predict(asked).model_spec.version.value == 1
    asked.model_spec.version_label = "canary"
    assert failure(server.predictions.Predict, asked) == (
        Code.INVALID_ARGUMENT,
        "Unrecognized servable version label: canary",
    )
    asked.model_spec.version.value = 7
    assert failure(server.predictions.Predict, asked) == (
        Code.NOT_FOUND,
        "Servable not found for request: Specific(toy, 7)",
    )
    asked = request(text=[b"a"])
    asked.model_spec.name = "none"
    assert failure(server.predictions.Predict, asked) == (
        Code.NOT_FOUND,
        "Servable not found for request: Latest(none)",
    )
    asked.model_spec.name, asked.model_spec.signature_name = "", "serving_default"
    assert failure(server.predictions.Predict, asked) == (
        Code.INVALID_ARGUMENT,
        "ModelSpec has no name specified.",
    )


def _shaped(*sizes: int, **fields: Any) -> TensorProto:
    proto = TensorProto(**{"dtype": tf.float32.as_datatype_enum, **fields})
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (predict_pb2.PredictRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (request("none", text=[b"a"]), Code.FAILED_PRECONDITION, 'key "none" not found'),
        (request(), Code.INVALID_ARGUMENT, "Missing but required: {text}"),
        (request(text=[b"a"], more=[1]), Code.INVALID_ARGUMENT, "Sent extra: {more}"),
        (request(text=[1]), Code.INVALID_ARGUMENT, "to be string but int32 is provided"),
        (request(text=b"a"), Code.INVALID_ARGUMENT, "shape"),
        (
            request("count", ids=[[1], [2]], lengths=[1, 2, 3]),
            Code.INVALID_ARGUMENT,
            "ncompatible shapes",
        ),
        (request("negate", x=_shaped(2, 2, tensor_content=b"1")), Code.INVALID_ARGUMENT, "parsing"),
        (request("negate", x=_shaped(1, 1, dtype=99)), Code.INVALID_ARGUMENT, "parsing"),
        (request("negate", x=_shaped(1, dtype=20)), Code.INVALID_ARGUMENT, "cannot be sent"),
        (request("negate", x=_shaped(-1, 1)), Code.INVALID_ARGUMENT, "must be known"),
        (
            request("negate", x=_shaped(2**31, 2**31, float_val=[1])),
            Code.INVALID_ARGUMENT,
            "at most 8388608 are allowed",
        ),
        (
            request("negate", x=np.zeros((600, 600), np.float32)),
            Code.RESOURCE_EXHAUSTED,
            "larger than max",
        ),
    ],
)
def test_what_is_no_request(
    server: Server, asked: predict_pb2.PredictRequest, code: grpc.StatusCode, said: str
) -> None:
    got, message = failure(server.predictions.Predict, asked)
    assert got is code
    assert said in message


def test_bytes_that_are_no_message(server: Server) -> None:
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    assert failure(call, b"\xff\xff\xff")[0] is Code.INTERNAL
    unknown = server.channel.unary_unary("/tensorflow.serving.PredictionService/Explain")
    assert failure(unknown, b"")[0] is Code.UNIMPLEMENTED


def test_texts_of_every_kind(server: Server) -> None:
    tokens = b" ".join([b"word"] * 100_000)
    texts = [b"", tokens, b"\0\xff", "𝄞".encode()]
    answer = server.predictions.Predict(request(text=texts))
    assert list(answer.outputs["text"].string_val) == texts
    assert list(answer.outputs["length"].int_val) == [len(text) for text in texts]
    empty = server.predictions.Predict(request(text=np.empty((0,), dtype=np.bytes_)))
    assert tf.make_ndarray(empty.outputs["length"]).shape == (0,)


def test_a_long_complaint_reaches_the_client(server: Server) -> None:
    asked = request(text=[b"a"])
    asked.output_filter.append("x" * 100_000)
    code, message = failure(server.predictions.Predict, asked)
    assert code is Code.INVALID_ARGUMENT
    assert message.endswith("...TRUNCATED")
    assert len(message) < MESSAGE + 20


def test_a_deadline_and_a_client_that_goes_end_a_request(server: Server, tmp_path: Path) -> None:
    late = Waiting(tmp_path / "late")
    code, _ = failure(server.predictions.Predict, late.message(), timeout=0.2)
    assert code is Code.DEADLINE_EXCEEDED
    late.answer()
    left = Waiting(tmp_path / "left")
    call = server.predictions.Predict.future(left.message(), timeout=HANG_S)
    left.until_started()
    call.cancel()
    assert call.cancelled()
    left.answer()


def examples(*rows: float, context: float | None = None) -> input_pb2.Input:
    messages = [protocol_toys.example(x=x) for x in rows]
    if context is None:
        return input_pb2.Input(example_list=input_pb2.ExampleList(examples=messages))
    shared = protocol_toys.example(scale=context)
    listed = input_pb2.ExampleListWithContext(examples=messages, context=shared)
    return input_pb2.Input(example_list_with_context=listed)


def spec(signature: str, name: str = "toy") -> model_pb2.ModelSpec:
    return model_pb2.ModelSpec(name=name, signature_name=signature)


def test_classify_and_regress(server: Server) -> None:
    asked = classification_pb2.ClassificationRequest(
        model_spec=spec("classify"), input=examples(1.5, -2)
    )
    answer = server.predictions.Classify(asked)
    assert [
        [(entry.label, entry.score) for entry in row.classes]
        for row in answer.result.classifications
    ] == [[("low", -1.5), ("high", 1.5)], [("low", 2), ("high", -2)]]
    assert answer.model_spec.version.value == 1
    assert answer.model_spec.signature_name == "classify"
    numbers = server.predictions.Regress(
        regression_pb2.RegressionRequest(
            model_spec=spec("regress"), input=examples(1.5, -2, context=10)
        )
    )
    assert [row.value for row in numbers.result.regressions] == [15, -20]


def test_classify_and_regress_refuse_what_does_not_fit(server: Server) -> None:
    def classified(signature: str, given: input_pb2.Input) -> tuple[grpc.StatusCode, str]:
        asked = classification_pb2.ClassificationRequest(model_spec=spec(signature), input=given)
        return failure(server.predictions.Classify, asked)

    assert classified("", examples(1)) == (
        Code.INVALID_ARGUMENT,
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict",
    )
    assert classified("none", examples(1)) == (
        Code.INVALID_ARGUMENT,
        "No signature was found with the name: none",
    )
    assert classified("classify", input_pb2.Input()) == (
        Code.INVALID_ARGUMENT,
        "Input is empty.",
    )
    regressed = regression_pb2.RegressionRequest(model_spec=spec("classify"), input=examples(1))
    code, message = failure(server.predictions.Regress, regressed)
    assert code is Code.INVALID_ARGUMENT
    assert "Expected regression signature" in message


def test_several_inferences_in_one_request(server: Server) -> None:
    asked = inference_pb2.MultiInferenceRequest(input=examples(2))
    for task in ("classify", "regress"):
        asked.tasks.add(model_spec=spec(task), method_name=f"tensorflow/serving/{task}")
    classes, numbers = server.predictions.MultiInference(asked).results
    assert [entry.score for entry in classes.classification_result.classifications[0].classes] == [
        -2,
        2,
    ]
    assert numbers.regression_result.regressions[0].value == 2
    assert numbers.model_spec.signature_name == "regress"
    asked.tasks[1].method_name = "tensorflow/serving/predict"
    assert failure(server.predictions.MultiInference, asked)[0] is Code.UNIMPLEMENTED
    asked.tasks[1].model_spec.name = "other"
    assert failure(server.predictions.MultiInference, asked)[0] is Code.INVALID_ARGUMENT


def test_metadata(server: Server) -> None:
    asked = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec(""))
    code, message = failure(server.predictions.GetModelMetadata, asked)
    assert (code, "at least one metadata_field" in message) == (Code.INVALID_ARGUMENT, True)
    asked.metadata_field.append("signature_def")
    answer = server.predictions.GetModelMetadata(asked)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("toy", 1)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) >= {"serving_default", "classify", "regress", "count"}
    assert signatures.signature_def["count"].inputs["ids"].dtype == tf.int32.as_datatype_enum
    asked.metadata_field.append("colour")
    assert failure(server.predictions.GetModelMetadata, asked) == (
        Code.INVALID_ARGUMENT,
        "Metadata field colour is not supported",
    )


def test_status(server: Server) -> None:
    asked = get_model_status_pb2.GetModelStatusRequest(model_spec=spec(""))
    (version,) = server.models.GetModelStatus(asked).model_version_status
    assert version.version == 1
    assert version.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert version.status.error_code == 0
    asked.model_spec.name = "none"
    assert failure(server.models.GetModelStatus, asked) == (
        Code.NOT_FOUND,
        "Could not find any versions of model none",
    )
    missing = get_model_status_pb2.GetModelStatusRequest()
    assert failure(server.models.GetModelStatus, missing)[0] is Code.INVALID_ARGUMENT
    reload = model_management_pb2.ReloadConfigRequest()
    code, message = failure(server.models.HandleReloadConfigRequest, reload)
    assert code is Code.UNIMPLEMENTED
    assert "models.config" in message


def _as_content(value: Any) -> TensorProto:
    array = np.asarray(value)
    return TensorProto(
        dtype=tf.as_dtype(array.dtype).as_datatype_enum,
        tensor_shape=tf.TensorShape(array.shape).as_proto(),
        tensor_content=array.tobytes(),
    )
