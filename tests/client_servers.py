"""Servers with a scripted model: one of the official gRPC servicers, one of plain HTTP.

What they share with TensorFlow Serving is its messages and paths; what they add is that a test can
make them fail, stall, or change the version.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

LABELS = ("negative", "positive")
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
Tensor = tuple[str, tuple[int, ...]]
SIGNATURES: dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]] = {
    "serving_default": (
        {"text": ("DT_STRING", (-1,))},
        {
            "label": ("DT_STRING", (-1,)),
            "labels": ("DT_STRING", (-1, 2)),
            "probabilities": ("DT_FLOAT", (-1, 2)),
        },
    ),
    "pair": (
        {"count": ("DT_INT32", (-1,)), "window": ("DT_FLOAT", (-1, 2))},
        {"total": ("DT_FLOAT", (-1,))},
    ),
    "echo": ({"text": ("DT_STRING", (-1,))}, {"text_bytes": ("DT_STRING", (-1,))}),
    "step": (
        {"samples": ("DT_FLOAT", (-1, -1)), "state_sum": ("DT_FLOAT", (-1, 1))},
        {"running": ("DT_FLOAT", (-1,)), "state_sum": ("DT_FLOAT", (-1, 1))},
    ),
}


Arrays = dict[str, np.ndarray]


def share_of_y(inputs: Arrays) -> Arrays:
    share = np.array([t.count(b"y") / max(len(t), 1) for t in inputs["text"]], np.float32)
    labels = np.array([label.encode() for label in LABELS], np.object_)
    return {
        "label": labels[(share > 0.25).astype(int)],
        "labels": np.tile(labels, (len(share), 1)),
        "probabilities": np.stack([1 - share, share], axis=1),
    }


def total(inputs: Arrays) -> Arrays:
    return {"total": (inputs["window"].sum(axis=1) + inputs["count"]).astype(np.float32)}


def running(inputs: Arrays) -> Arrays:
    sums = inputs["state_sum"] + inputs["samples"].sum(axis=1, keepdims=True)
    return {"running": sums[:, 0], "state_sum": sums}


ANSWERS: dict[str, Callable[[Arrays], Arrays]] = {
    "serving_default": share_of_y,
    "pair": total,
    "echo": lambda inputs: {"text_bytes": inputs["text"]},
    "step": running,
}


class RefusalError(Exception):
    """An error that the server answers with."""


class ScriptedModel:
    """A model named `toy`; a text is positive by its share of the letter y.

    Attributes:
        version: the version that it serves.
        refusals: (code, message) of the next requests that are refused, in order.
        asked: how many predict requests came.
        before_answer: called with that number when one came; may hold the answer back.
    """

    def __init__(self) -> None:
        self.version = 3
        self.refusals: list[tuple[str, str]] = []
        self.asked = 0
        self.before_answer: Callable[[int], None] = lambda asked: None
        self.signatures = SIGNATURES
        self.answers = dict(ANSWERS)

    def choose(self, name: str, version: int | None, label: str | None) -> None:
        if name != "toy":
            raise RefusalError("NOT_FOUND", f"Could not find any versions of model {name}")
        if label not in (None, "stable") or version not in (None, self.version):
            raise RefusalError("NOT_FOUND", f"Servable not found for request: Specific({name}, …)")

    def answer(self, signature: str, inputs: Arrays) -> Arrays:
        self.asked += 1
        self.before_answer(self.asked)
        if self.refusals:
            raise RefusalError(*self.refusals.pop(0))
        if set(inputs) != set(self.signatures[signature][0]):
            raise RefusalError("INVALID_ARGUMENT", "input names differ from the signature's")
        return self.answers[signature](inputs)

    def definitions(self) -> Any:
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, (inputs, outputs) in self.signatures.items():
            definition: meta_graph_pb2.SignatureDef = found.signature_def[name]
            for tensors, infos in ((inputs, definition.inputs), (outputs, definition.outputs)):
                for key, (dtype, shape) in tensors.items():
                    infos[key].name = f"{key}:0"
                    infos[key].dtype = types_pb2.DataType.Value(dtype)
                    for size in shape:
                        infos[key].tensor_shape.dim.add(size=size)
        return found

    def status(self) -> Any:
        found = get_model_status_pb2.GetModelStatusResponse()
        entry = found.model_version_status.add(version=self.version, state=30)
        entry.status.error_message = ""
        bad = found.model_version_status.add(version=self.version + 1, state=50)
        bad.status.error_code, bad.status.error_message = 3, "no saved_model.pb"
        return found


class _Service(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    def __init__(self, model: ScriptedModel) -> None:
        self.model = model

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _aborting(context):
            self._choose(request.model_spec)
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            signature = request.model_spec.signature_name
            response = predict_pb2.PredictResponse()
            for name, value in self.model.answer(signature, inputs).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = self.model.version
            return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _aborting(context):
            self._choose(request.model_spec)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.version.value = self.model.version
            response.metadata["signature_def"].Pack(self.model.definitions())
            return response

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        with _aborting(context):
            self._choose(request.model_spec)
            return self.model.status()

    def _choose(self, spec: Any) -> None:
        version = spec.version.value if spec.HasField("version") else None
        label = spec.version_label if spec.HasField("version_label") else None
        self.model.choose(spec.name, version, label)


@contextmanager
def _aborting(context: Any) -> Iterator[None]:
    try:
        yield
    except RefusalError as refused:
        code, message = refused.args
        context.abort(grpc.StatusCode[code], message)


@contextmanager
def grpc_server(
    model: ScriptedModel, port: int = 0, tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """The URL of a gRPC server of the model; `tls` are the files of its key and certificate."""
    server = grpc.server(futures.ThreadPoolExecutor(16))
    service = _Service(model)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    if tls:
        pair = (tls[0].read_bytes(), tls[1].read_bytes())
        port = server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"grpcs://localhost:{port}" if tls else f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer sent in two pieces waits 40 ms for the client's acknowledgement
    model: ScriptedModel

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        try:
            status, found = 200, self._found(body)
        except RefusalError as refused:
            code, message = refused.args
            if code == "RESET":
                self.close_connection = True
                return
            status, found = HTTP_STATUS[code], {"error": message}
        raw = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _found(self, body: bytes) -> Any:
        path, _, verb = self.path.removeprefix("/v1/models/").partition(":")
        name, *rest = path.removesuffix("/metadata").split("/")
        version = int(rest[1]) if rest[:1] == ["versions"] else None
        self.model.choose(name, version, rest[1] if rest[:1] == ["labels"] else None)
        if verb == "predict":
            return self._predicted(json.loads(body))
        if self.path.endswith("/metadata"):
            definitions = json_format.MessageToDict(
                self.model.definitions(), preserving_proto_field_name=True
            )
            return {
                "model_spec": {"name": name, "version": str(self.model.version)},
                "metadata": {"signature_def": {"@type": "…/SignatureDefMap", **definitions}},
            }
        return json_format.MessageToDict(self.model.status(), preserving_proto_field_name=True)

    def _predicted(self, request: Any) -> Any:
        signature = request["signature_name"]
        taken = self.model.signatures[signature][0]
        inputs = {
            name: np.array(value, tf.dtypes.as_dtype(types_pb2.DataType.Value(taken[name][0])).name)
            if taken[name][0] != "DT_STRING"
            else np.array([_bytes(text) for text in value], np.object_)
            for name, value in request["inputs"].items()
        }
        outputs = {
            name: [_text(name, text) for text in value]
            if value.dtype == np.object_ and value.ndim == 1
            else [[text.decode() for text in row] for row in value]
            if value.dtype == np.object_
            else value.tolist()
            for name, value in self.model.answer(signature, inputs).items()
        }
        return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _bytes(text: Any) -> Any:
    if isinstance(text, list):
        return [_bytes(one) for one in text]
    return base64.b64decode(text["b64"]) if isinstance(text, dict) else text.encode()


def _text(name: str, text: bytes) -> Any:
    return {"b64": base64.b64encode(text).decode()} if name.endswith("_bytes") else text.decode()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: list[Any] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def http_server(
    model: ScriptedModel, port: int = 0, tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """The URL of a REST server of the model; `tls` are the files of its key and certificate."""
    handler = type("Handler", (_Handler,), {"model": model})
    server = _HttpServer(("127.0.0.1", port), handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls[1], tls[0])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        port = server.server_port
        yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


SERVERS = {"grpc": grpc_server, "http": http_server}


def self_signed(folder: Path) -> tuple[Path, Path]:
    """The files of a key and of its certificate for `localhost`."""
    if which("openssl") is None:
        pytest.skip("no openssl on this machine")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout"
    )
    subprocess.run([*make.split(), key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


def trusting(certificate: Path) -> dict[str, str]:
    """The environment of a process that trusts a certificate."""
    names = ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "SSL_CERT_FILE")
    return os.environ | dict.fromkeys(names, str(certificate))
