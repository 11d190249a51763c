"""The client over both transports: answers, errors, deadlines, repetitions."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client_servers import SERVERS, SIGNATURES, ScriptedModel, http_server, self_signed, trusting

from apps.answers import answers
from apps.errors import UserError
from apps.serving import CallError, Client
from apps.serving.client import messages

HANG_S = 120


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture(params=["grpc", "http"])
def client(request: pytest.FixtureRequest, model: ScriptedModel) -> Iterator[Client]:
    with SERVERS[request.param](model) as url, Client(url) as client:
        yield client


def test_texts_get_labels_and_probabilities_by_label(client: Client) -> None:
    texts = ["yy", "no", "", "☃ né"]
    found = client.predict(texts, "toy")
    assert [answer["label"] for answer in found] == ["positive", *["negative"] * 3]
    assert found[0] == {"label": "positive", "probabilities": {"negative": 0.0, "positive": 1.0}}
    assert client.predict(np.array(texts), "toy") == found
    assert client.predict([{"text": text} for text in texts], "toy") == found
    assert client.predict({"text": texts}, "toy", label="stable") == found
    assert client.predict([], "toy") == []


def test_several_inputs_as_rows_or_columns(client: Client) -> None:
    rows = [{"count": 1, "window": [0.5, 1]}, {"count": 2, "window": [3, 4]}]
    wanted = [{"total": 2.5}, {"total": 9.0}]
    assert client.predict(rows, "toy", signature="pair") == wanted
    windows = {"count": np.array([1, 2]), "window": np.array([[0.5, 1], [3, 4]], np.float64)}
    assert client.predict(windows, "toy", signature="pair") == wanted
    outputs = client.predict_raw(windows, "toy", version=3, signature="pair")
    assert outputs["total"].dtype == np.float32
    np.testing.assert_array_equal(outputs["total"], [2.5, 9.0])


def test_bytes_that_are_no_text_survive(client: Client) -> None:
    given = [b"\xff\x00\xfe", "é", b""]
    found = client.predict(given, "toy", signature="echo")
    assert [answer["text_bytes"] for answer in found] == [b"\xff\x00\xfe", "é", ""]


@pytest.mark.parametrize(
    ("inputs", "signature", "complaint"),
    [
        ("a text", "serving_default", "give a list"),
        ([3], "serving_default", "takes texts"),
        (["half \ud800"], "serving_default", "surrogate"),
        ([["nested"]], "serving_default", "takes shape (?), given was (1, 1)"),
        ([{"words": "a"}], "serving_default", "the model takes text; given were words"),
        ([{"text": "a"}, {"words": "a"}], "serving_default", "same names"),
        ([1], "pair", "give a dict"),
        ({"count": [1]}, "pair", "the model takes count, window; given were count"),
        ({"count": [1.5], "window": [[1, 2]]}, "pair", "'count': the model takes int32"),
        ({"count": [2**40], "window": [[1, 2]]}, "pair", "does not fit into int32"),
        ({"count": [1, 2], "window": [[1, 2], [3]]}, "pair", "different lengths"),
        ({"count": [1, 2], "window": [[1, 2]]}, "pair", "one value per row"),
        (["a"], "serving_defualt", "did you mean 'serving_default'?"),
    ],
)
def test_inputs_that_the_model_does_not_take_are_not_sent(
    model: ScriptedModel, inputs: Any, signature: str, complaint: str
) -> None:
    with http_server(model) as url, Client(url) as client:
        with pytest.raises(UserError) as refused:
            client.predict(inputs, "toy", signature=signature)
        assert complaint in str(refused.value)
    assert model.asked == 0


def test_what_the_server_tells_of_a_model(client: Client) -> None:
    found = client.metadata("toy")
    assert found.version == 3
    assert set(found.signatures) == set(SIGNATURES)
    window = found.signature("pair").inputs["window"]
    assert (window.dtype, window.shape) == (np.float32, (None, 2))
    bad, good = client.status("toy")
    assert (good.version, good.state, good.error_code) == (3, "AVAILABLE", "OK")
    assert (bad.version, bad.state) == (4, "END")
    assert (bad.error_code, bad.error_message) == ("INVALID_ARGUMENT", "no saved_model.pb")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_what_may_pass_is_tried_again(client: Client, model: ScriptedModel, code: str) -> None:
    model.refusals = [(code, "the queue is full")] * 2
    assert client.predict(["yy"], "toy")[0]["label"] == "positive"
    assert model.asked == 3


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "INTERNAL"])
def test_what_will_not_pass_is_not(client: Client, model: ScriptedModel, code: str) -> None:
    model.refusals = [(code, "no"), ("INTERNAL", "asked again")]
    with pytest.raises(CallError) as refused:
        client.predict(["yy"], "toy")
    assert (refused.value.code, refused.value.message) == (code, "no")
    assert model.asked == 1


def test_attempts_end(client: Client, model: ScriptedModel) -> None:
    model.refusals = [("UNAVAILABLE", "the queue is full")] * 20
    with (
        Client(client.url, attempts=3) as impatient,
        pytest.raises(CallError, match="UNAVAILABLE: the queue is full"),
    ):
        impatient.predict(["yy"], "toy")
    assert model.asked == 3


def test_a_timeout_covers_all_attempts(client: Client, model: ScriptedModel) -> None:
    model.refusals = [("UNAVAILABLE", "the queue is full")] * 1000
    with Client(client.url, attempts=100) as patient:
        patient.metadata("toy")
        with pytest.raises(CallError) as failed:
            patient.predict(["yy"], "toy", timeout_s=0.5)
        assert failed.value.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
        assert model.asked < 100
        go = threading.Event()

        def hold(asked: int) -> None:
            go.wait(HANG_S)

        model.refusals, model.before_answer = [], hold
        with pytest.raises(CallError, match="DEADLINE_EXCEEDED"):
            patient.predict(["yy"], "toy", timeout_s=0.2)
        go.set()


def test_unknown_models_and_versions(client: Client) -> None:
    for name, version in (("boy", None), ("toy", 9)):
        with pytest.raises(CallError) as refused:
            client.predict(["yy"], name, version=version)
        assert refused.value.code == "NOT_FOUND"
        assert name in refused.value.message
    with pytest.raises(UserError, match="not both"):
        client.predict(["yy"], "toy", version=3, label="stable")


def test_a_reset_connection_is_tried_again(model: ScriptedModel) -> None:
    with http_server(model) as url, Client(url) as client:
        model.refusals = [("RESET", "")]
        assert client.predict(["yy"], "toy")[0]["label"] == "positive"


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_is_away_and_comes_back(
    model: ScriptedModel, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    port = reserved.getsockname()[1]
    with Client(f"{scheme}://127.0.0.1:{port}", attempts=1) as impatient:
        with pytest.raises(CallError) as away:
            impatient.predict(["yy"], "toy")
        assert away.value.code == "UNAVAILABLE"
    refused = threading.Event()
    with Client(f"{scheme}://127.0.0.1:{port}", attempts=1000) as client:
        metadata = client._transport.metadata

        def noting(*given: Any) -> Any:
            try:
                return metadata(*given)
            except CallError:
                refused.set()
                raise

        monkeypatch.setattr(client._transport, "metadata", noting)
        with ThreadPoolExecutor(1) as thread:
            asking = thread.submit(client.predict, ["yy"], "toy", timeout_s=HANG_S)
            assert refused.wait(HANG_S)
            reserved.close()
            with SERVERS[scheme](model, port):
                assert asking.result()[0]["label"] == "positive"


def test_a_new_version_with_other_inputs(client: Client, model: ScriptedModel) -> None:
    client.predict({"count": [1], "window": [[1, 2]]}, "toy", signature="pair")
    inputs, outputs = SIGNATURES["pair"]
    changed = {"window": inputs["window"], "count": ("DT_FLOAT", (-1,))}
    model.version, model.signatures = 4, {**SIGNATURES, "pair": (changed, outputs)}
    fractions = {"count": [1.5], "window": [[1, 2]]}
    assert client.predict(fractions, "toy", signature="pair") == [{"total": 4.5}]


def test_threads_share_a_client(client: Client) -> None:
    def ask(number: int) -> None:
        for count in range(10):
            text = "y" * number + "n" * count
            share = client.predict([text], "toy")[0]["probabilities"]["positive"]
            assert share == pytest.approx(number / len(text), abs=1e-6)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(1, 9)))


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8500", "ftp://host", "grpc://", "grpc://host:port", "grpc://host:1/path"]
)
def test_urls_of_another_form(url: str) -> None:
    with pytest.raises(UserError, match="give grpc://HOST:PORT"):
        Client(url)


def test_tls_with_a_certificate_of_ones_own(model: ScriptedModel, tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    code = (
        "import sys\n"
        "from apps.serving import Client\n"
        "for url in sys.argv[1:]:\n"
        "    print(Client(url).predict(['yy'], 'toy')[0]['label'])\n"
    )
    with SERVERS["grpc"](model, tls=tls) as one, http_server(model, tls=tls) as other:
        done = subprocess.run(
            [sys.executable, "-c", code, one, other],
            env=trusting(tls[1]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["positive"] * 2, done.stderr
        for url in (one, other):
            with Client(url, attempts=1) as distrusting, pytest.raises(CallError) as failed:
                distrusting.predict(["yy"], "toy", timeout_s=HANG_S)
            assert failed.value.code == "UNAVAILABLE"


def test_declared_messages_are_those_of_tensorflow_serving() -> None:
    places = {
        "Any": ("google.protobuf.any_pb2", "Any"),
        "Int64Value": ("google.protobuf.wrappers_pb2", "Int64Value"),
        "Dim": ("tensorflow.core.framework.tensor_shape_pb2", "TensorShapeProto.Dim"),
        "TensorShapeProto": ("tensorflow.core.framework.tensor_shape_pb2", "TensorShapeProto"),
        "TensorProto": ("tensorflow.core.framework.tensor_pb2", "TensorProto"),
        "TensorInfo": ("tensorflow.core.protobuf.meta_graph_pb2", "TensorInfo"),
        "SignatureDef": ("tensorflow.core.protobuf.meta_graph_pb2", "SignatureDef"),
        "ModelSpec": ("tensorflow_serving.apis.model_pb2", "ModelSpec"),
        "StatusProto": ("tensorflow_serving.apis.status_pb2", "StatusProto"),
        "PredictRequest": ("tensorflow_serving.apis.predict_pb2", "PredictRequest"),
        "PredictResponse": ("tensorflow_serving.apis.predict_pb2", "PredictResponse"),
    }
    metadata = "tensorflow_serving.apis.get_model_metadata_pb2"
    status = "tensorflow_serving.apis.get_model_status_pb2"
    for name in messages.MESSAGES:
        module = metadata if "Metadata" in name or name == "SignatureDefMap" else status
        module, path = places.get(name, (module, name))
        official = importlib.import_module(module)
        for part in path.split("."):
            official = getattr(official, part)
        ours = messages._CLASSES[name].DESCRIPTOR
        assert ours.fields
        for field in ours.fields:
            theirs = official.DESCRIPTOR.fields_by_number[field.number]
            assert (field.name, field.type) == (theirs.name, theirs.type), (name, field.name)
            assert field.is_repeated == theirs.is_repeated, (name, field.name)
            if field.enum_type:
                numbers = {value.name: value.number for value in field.enum_type.values}
                for value, number in numbers.items():
                    assert theirs.enum_type.values_by_number[number].name == value


def test_padding_behind_what_counts_is_left_out() -> None:
    outputs = {
        "text": np.array([b"one two", b"three"], object),
        "words": np.array([[b"one", b"two"], [b"three", b""]], object),
        "counts": np.array([2, 1], np.int32),
        "partial_times": np.array([[0.5, 0.0], [1.0, 2.0]]),
        "partial_counts": np.array([1, 2], np.int32),
    }
    assert answers(outputs, 2) == [
        {"text": "one two", "words": ["one", "two"], "partial_times": [0.5]},
        {"text": "three", "words": ["three"], "partial_times": [1.0, 2.0]},
    ]
