"""The REST interface: TensorFlow Serving's answers, and clients that mean no good."""

from __future__ import annotations

import gzip
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import protocol_server
import pytest
from protocol_server import HANG_S, Server, Waiting, head, read_answer, wait_until

from apps.serving.rest import http_limits, request_body, routes

PREDICT = "/v1/models/toy:predict"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def folder(protocols: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return protocol_server.publish_toy(tmp_path_factory.mktemp("rest") / "models", protocols)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A server that takes 1 MiB."""
    with protocol_server.serving(folder, max_request_mb=1, timeout_s=HANG_S) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(folder: Path) -> Iterator[Server]:
    """A server that waits 0.3 s for a body, and again for its answer."""
    with protocol_server.serving(folder, timeout_s=0.3) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=HANG_S) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _lives_on(client: httpx.Client) -> Iterator[None]:
    """Whatever a test did to it, the server answers the next client."""
    yield
    answer = client.post(PREDICT, json={"instances": ["still here"]})
    assert answer.json()["predictions"][0]["text"] == "still here"


def ask(client: httpx.Client, body: Any, path: str = PREDICT) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def error(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert "Traceback" not in body["error"]
    return answer.status_code, body["error"]


def test_rows_and_columns(client: httpx.Client) -> None:
    assert ask(client, {"instances": ["a", "ü"]}) == {
        "predictions": [
            {"text": "a", "raw_bytes": {"b64": "YQ=="}, "length": 1},
            {"text": "ü", "raw_bytes": {"b64": "w7w="}, "length": 2},
        ]
    }
    assert ask(client, {"inputs": {"text": ["a"]}})["outputs"]["text"] == ["a"]
    assert ask(client, {"signature_name": "negate", "instances": [[1, 2.5]]}) == {
        "predictions": [[-1.0, -2.5]]
    }
    columns = {"ids": [[1, 2], [3, 4]], "lengths": [10, 20]}
    assert ask(client, {"signature_name": "count", "inputs": columns}) == {"outputs": [13, 27]}
    scalars = {"half": 1, "double": 1e300, "byte": 255, "long": -(2**63), "flag": True}
    refused = client.post(
        PREDICT,
        json={"signature_name": "types", "inputs": {**scalars, "unsigned": 2**64 - 1}},
    )
    assert error(refused) == (501, "Conversion of JSON Value: 1 to type: float16")


@pytest.mark.parametrize("place", ["toy", "toy/versions/1", "toy/labels/stable", "%74oy"])
def test_a_model_a_version_and_a_label(client: httpx.Client, place: str) -> None:
    answer = ask(client, {"instances": ["x"]}, f"/v1/models/{place}:predict")
    assert answer["predictions"][0]["text"] == "x"
    status = client.get(f"/v1/models/{place}").json()
    assert status == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    described = client.get(f"/v1/models/{place}/metadata").json()
    assert described["model_spec"] == {"name": "toy", "version": "1", "signature_name": ""}
    signatures = described["metadata"]["signature_def"]["signature_def"]
    assert signatures["classify"]["method_name"] == "tensorflow/serving/classify"
    assert signatures["count"]["inputs"]["ids"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "-1", "name": ""}],
        "unknown_rank": False,
    }


def test_classify_and_regress(client: httpx.Client) -> None:
    rows = {"examples": [{"x": 1.5}, {"x": -2.0}]}
    classified = ask(client, {"signature_name": "classify", **rows}, "/v1/models/toy:classify")
    assert classified == {
        "results": [[["low", -1.5], ["high", 1.5]], [["low", 2.0], ["high", -2.0]]]
    }
    shared = {"signature_name": "regress", "context": {"scale": 10.0}, **rows}
    assert ask(client, shared, "/v1/models/toy/versions/1:regress") == {"results": [15.0, -20.0]}
    wrong = client.post("/v1/models/toy:classify", json=rows)
    assert error(wrong) == (
        400,
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict",
    )
    missing = {"signature_name": "regress", "examples": [{"y": 1.0}]}
    assert error(client.post("/v1/models/toy:regress", json=missing))[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/v1/models/none:predict", 404, "Servable not found for request: Latest(none)"),
        (
            "POST",
            "/v1/models/toy/versions/7:predict",
            404,
            "Servable not found for request: Specific(toy, 7)",
        ),
        (
            "POST",
            "/v1/models/toy/labels/x:predict",
            400,
            "Unrecognized servable version label: x",
        ),
        (
            "POST",
            f"/v1/models/toy/versions/{'9' * 30}:predict",
            400,
            f"Failed to convert version: {'9' * 30} to numeric.",
        ),
        ("GET", "/v1/models/none", 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/toy/versions/7", 404, "Could not find version 7 of model toy"),
        ("GET", "/v1/models/none/metadata", 404, "Servable not found for request: Latest(none)"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("POST", "/v1/models/toy", 400, "Malformed request: POST /v1/models/toy"),
        ("DELETE", "/v1/models/toy", 400, "Malformed request: DELETE /v1/models/toy"),
        ("POST", "/v1/models/toy:explain", 400, "Malformed request: POST /v1/models/toy:explain"),
        ("GET", "/", 404, "Malformed request: GET /"),
        ("GET", "/v1/models/%ff%00", 404, "Could not find any versions of model \ufffd\x00"),
    ],
)
def test_what_is_not_there(
    client: httpx.Client, method: str, path: str, status: int, said: str
) -> None:
    body = b'{"instances": ["x"]}' if method == "POST" else None
    assert error(client.request(method, path, content=body)) == (status, said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"instances": ["a"', "JSON Parse error"),
        (b'{"instances": [1]}', "Type: Number is not of expected type: string"),
        (b'{"inputs": "a"}', "shape"),
        (b'{"signature_name": "negate", "inputs": []}', "shape"),
        (b'{"signature_name": "none", "instances": [1]}', '"none" not found in signature def'),
        (b'{"instances": ' + b"[" * 100_000, "Nested too deeply"),
    ],
)
def test_a_body_that_is_no_request(client: httpx.Client, body: bytes, said: str) -> None:
    status, message = error(client.post(PREDICT, content=body))
    assert status == 400
    assert said in message


def test_texts_of_every_kind(client: httpx.Client) -> None:
    tokens = " ".join(["word"] * 100_000)
    texts = ["", tokens, "\x00\u2028𝄞", {"b64": "//4="}]
    rows = ask(client, {"instances": texts})["predictions"]
    assert [row["length"] for row in rows] == [0, len(tokens), 8, 2]
    assert [row["text"] for row in rows] == texts
    empty: dict[str, list[Any]] = {"text": [], "raw_bytes": [], "length": []}
    assert ask(client, {"inputs": {"text": []}}) == {"outputs": empty}


def test_numbers_survive_a_large_request(client: httpx.Client) -> None:
    x = np.random.default_rng(0).standard_normal((100, 400)).astype(np.float32)
    body = {"signature_name": "negate", "instances": x.tolist()}
    np.testing.assert_array_equal(np.float32(ask(client, body)["predictions"]), -x)


def test_compressed_bodies(client: httpx.Client) -> None:
    def send(body: bytes, encoding: str = "gzip") -> httpx.Response:
        return client.post(PREDICT, content=body, headers={"Content-Encoding": encoding})

    plain = b'{"instances": ["packed"]}'
    halves = gzip.compress(plain[:9]) + gzip.compress(plain[9:])
    for packed in (gzip.compress(plain), halves):
        assert send(packed).json()["predictions"][0]["text"] == "packed"
    assert error(send(gzip.compress(b" " * 30 * MEGABYTE))) == (
        413,
        f"Request body is larger than {MEGABYTE} bytes when unpacked",
    )
    assert error(send(plain))[0] == 400
    assert error(send(gzip.compress(plain)[:-4]))[0] == 400
    assert error(send(plain, "br")) == (
        415,
        "Content-Encoding br is not supported; send gzip or none",
    )


def test_a_body_that_says_it_is_too_large_is_not_read(server: Server) -> None:
    for expect in ({}, {"Expect": "100-continue"}):
        status, body = server.answer(head("POST", PREDICT, Content_Length=2**30, **expect))
        assert (status, body) == (413, {"error": f"Request body is larger than {MEGABYTE} bytes"})


def test_an_endless_body_is_cut_off_and_not_held(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"

    def keep_sending(connection: socket.socket) -> None:
        connection.sendall(head("POST", PREDICT, Transfer_Encoding="chunked"))
        while True:
            connection.sendall(chunk)

    monkeypatch.setattr(request_body, "DRAIN_S", HANG_S)
    before = _resident_megabytes()
    with server.socket() as connection:
        connection.sendall(head("POST", PREDICT, Transfer_Encoding="chunked"))
        for _ in range(100):
            connection.sendall(chunk)
        assert read_answer(connection)[0] == 413
    monkeypatch.setattr(request_body, "DRAIN_S", 0.1)
    with server.socket() as connection, pytest.raises(OSError, match=r"reset|Broken pipe"):
        keep_sending(connection)
    assert _resident_megabytes() - before < 40


def test_lengths_that_lie(server: Server, impatient: Server) -> None:
    body = b'{"instances": ["a"]}'
    status, answer = server.answer(head("POST", PREDICT, Content_Length=5) + body)
    assert (status, answer["error"][:16]) == (400, "JSON Parse error")
    assert impatient.answer(head("POST", PREDICT, Content_Length=len(body) + 1) + body) == (
        408,
        {"error": "Request body did not arrive within 0.3 s"},
    )
    for length in ("-1", "1, 2", "x"):
        assert server.answer(head("POST", PREDICT, Content_Length=length) + body)[0] == 400


def test_a_body_that_drips_gets_no_more_time(impatient: Server) -> None:
    with impatient.socket() as connection:
        start = time.perf_counter()
        connection.sendall(head("POST", PREDICT, Content_Length=10_000))
        drops = 0
        while not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(b"{")
            drops += 1
            assert drops < 9_000
        assert read_answer(connection)[0] == 408
        assert time.perf_counter() - start >= 0.3


def test_headers_that_drip_or_never_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = b"GET / HTTP/1.1\r\n" + b"X-Filler: %s\r\n" % (b"x" * 1000) * 200
    assert server.answer(endless)[0] == 431
    monkeypatch.setattr(http_limits, "HEADER_S", 0.3)
    assert server.answer(b"GET /v1/models/toy HTT") == (
        408,
        {"error": "Request headers did not arrive within 0.3 s"},
    )
    with server.socket() as connection:
        assert connection.recv(1) == b""  # a connection on which nothing comes is closed


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\0" * 99],
)
def test_what_is_no_http(server: Server, garbage: bytes) -> None:
    status, body = server.answer(garbage + b"\r\n\r\n")
    assert status == 400
    assert body["error"].startswith("Malformed request")


def test_requests_one_after_another_on_one_connection(server: Server) -> None:
    good = b'{"instances": ["a"]}'
    with server.socket() as connection:
        connection.sendall(head("POST", PREDICT, Content_Length=len(good)) + good)
        assert read_answer(connection)[0] == 200
        connection.sendall(head("POST", PREDICT, Content_Length=1) + b"{")
        assert read_answer(connection)[0] == 400
        connection.sendall(head("GET", "/v1/models/toy"))
        assert read_answer(connection)[0] == 200


def test_no_answer_in_time(impatient: Server, tmp_path: Path) -> None:
    late = Waiting(tmp_path / "late")
    answer = httpx.post(impatient.url + PREDICT, json=late.row(), timeout=HANG_S)
    assert error(answer)[0] == 504
    late.answer()


def test_metrics_are_those_of_tensorflow_serving(client: httpx.Client, server: Server) -> None:
    counted = {
        status: re.compile(
            rf'^:tensorflow:serving:request_count{{model_name="{name}",status="{status}"}} (\S+)',
            re.MULTILINE,
        )
        for status, name in (("OK", "toy"), ("INVALID_ARGUMENT", "toy"), ("NOT_FOUND", ""))
    }

    def count(status: str) -> float:
        page = client.get("/monitoring/prometheus/metrics")
        assert page.status_code == 200
        assert "# TYPE :tensorflow:serving:request_count counter\n" in page.text
        found = counted[status].search(page.text)
        return float(found[1]) if found else 0.0

    before = {status: count(status) for status in counted}
    ask(client, {"instances": ["a"]})
    client.post(PREDICT, content=b"{")
    for number in range(3):
        client.post(f"/v1/models/unknown{number}:predict", content=b'{"instances": [1]}')
    assert {status: count(status) - before[status] for status in counted} == {
        "OK": 1,
        "INVALID_ARGUMENT": 1,
        "NOT_FOUND": 3,
    }
    page = client.get("/monitoring/prometheus/metrics").text
    assert "unknown0" not in page
    labels = 'API="predict",entrypoint="REST",le="+Inf",model_name="toy"'
    assert f":tensorflow:serving:request_latency_bucket{{{labels}}}" in page
    assert 'apps_serving_version_state{model_name="toy",state="AVAILABLE",version="1"} 1.0' in page


def test_a_client_that_goes_leaves_no_work(
    client: httpx.Client, server: Server, tmp_path: Path
) -> None:
    cancelled = re.compile(r'request_count{model_name="toy",status="CANCELLED"} (\S+)')

    def count() -> float:
        found = cancelled.search(client.get("/monitoring/prometheus/metrics").text)
        return float(found[1]) if found else 0.0

    before = count()
    asked = Waiting(tmp_path / "asked")
    body = json.dumps(asked.row()).encode()
    request = head("POST", PREDICT, Content_Length=len(body), Expect="100-continue")
    for sent in (body, body[:5]):
        with server.socket() as connection:
            connection.sendall(request)
            assert b"100 Continue" in connection.recv(1000)
            connection.sendall(sent)
            if sent == body:
                asked.until_started()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: count() == before + 2)
    asked.answer()


def test_a_fault_of_the_server_shows_nothing_of_it(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(body: bytes) -> None:
        raise RuntimeError("secret")

    with monkeypatch.context() as patched:
        patched.setattr(routes, "parse", broken)
        status, message = error(client.post(PREDICT, json={"instances": ["a"]}))
    assert status == 500
    assert "secret" not in message
    assert "secret" in caplog.text


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MEGABYTE
