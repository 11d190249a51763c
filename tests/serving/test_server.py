"""The server as a whole: its ports, its signals, and what happens to requests when it stops."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import protocol_server
import pytest
import tensorflow as tf
from protocol_server import HANG_S, Server, Waiting, open_gate, wait_until
from tensorflow_serving.apis import (
    get_model_status_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from apps.errors import UserError
from apps.serving import server as server_module
from apps.serving.models.versions import Version
from apps.serving.rest import http_limits
from apps.serving.server import Address, running, serve

PREDICT = "/v1/models/toy:predict"


@pytest.fixture(scope="module")
def folder(protocols: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served folder with one model."""
    return protocol_server.publish_toy(tmp_path_factory.mktemp("server") / "models", protocols)


def _complaint(folder: Path, **options: Any) -> str:
    async def start() -> None:
        async with running(folder, gate=open_gate, **options):
            pytest.fail("it started")

    with pytest.raises(UserError) as caught:
        asyncio.run(start())
    return str(caught.value)


def test_connections_beyond_what_it_can_hold_are_refused_and_the_rest_answered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit of its own a server that is out of files answers nobody."""
    monkeypatch.setattr(server_module, "_most_connections", lambda: 8)
    with protocol_server.serving(folder) as server:
        address = ("127.0.0.1", server.address.rest_port)
        held = [socket.create_connection(address) for _ in range(8)]
        refused = httpx.get(f"{server.url}/v1/models/toy", timeout=HANG_S)
        assert (refused.status_code, refused.json()) == (503, {"error": "Too many connections"})
        for connection in held:
            connection.close()
        wait_until(lambda: httpx.get(f"{server.url}/v1/models/toy").status_code == 200)


def test_what_it_cannot_listen_on(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("port", "rest_port"):
            said = _complaint(folder, **{option: port})
            assert said.startswith(f"--{option.replace('_', '-')} {port}: another program")
    assert "0 for any free one" in said
    assert _complaint(folder, host="192.0.2.1").startswith("--host 192.0.2.1: no interface")
    assert _complaint(folder, host="no such host").startswith("--host no such host: ")
    assert _complaint(folder, port=99999).startswith("--port 99999: ")
    assert str(tmp_path / "none") in _complaint(tmp_path / "none")


def test_an_open_interface_is_pointed_out(folder: Path) -> None:
    with protocol_server.serving(folder, host="0.0.0.0") as server:
        assert any("no authentication" in line for line in server.lines)
        assert httpx.get(f"{server.url}/v1/models/toy", timeout=HANG_S).status_code == 200


def test_ipv6(folder: Path) -> None:
    if not _has_ipv6():
        pytest.skip("no IPv6 on this machine")
    with protocol_server.serving(folder, host="::1") as server:
        assert not any("authentication" in line for line in server.lines)
        url = f"http://[::1]:{server.address.rest_port}/v1/models/toy"
        assert httpx.get(url, timeout=HANG_S).status_code == 200
        with grpc.insecure_channel(f"[::1]:{server.address.port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(_echo(), timeout=HANG_S).outputs["text"].string_val == [b"a"]
        assert str(server.address).startswith("gRPC [::1]:")


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The signatures of the requests that have reached a version."""
    found: list[str] = []
    predict = Version.predict

    async def noting(version: Version, signature: str, *given: Any) -> Any:
        found.append(signature)
        return await predict(version, signature, *given)

    monkeypatch.setattr(Version, "predict", noting)
    return found


def test_requests_under_way_are_answered_when_it_stops(
    folder: Path, tmp_path: Path, arrived: list[str]
) -> None:
    waiting = [Waiting(tmp_path / str(number)) for number in range(6)]

    def answer_once_it_stops(server: Server) -> None:
        wait_until(lambda: _refuses(server))
        for each in waiting:
            each.answer()

    with ThreadPoolExecutor(7) as threads:
        with protocol_server.serving(folder, grace_s=HANG_S, timeout_s=HANG_S) as server:
            assert not any("authentication" in line for line in server.lines)
            rest = [
                threads.submit(httpx.post, server.url + PREDICT, json=each.row(), timeout=HANG_S)
                for each in waiting[:3]
            ]
            remote = [
                threads.submit(server.predictions.Predict, each.message(), HANG_S)
                for each in waiting[3:]
            ]
            wait_until(lambda: arrived == ["wait"] * 6)
            answering = threads.submit(answer_once_it_stops, server)
        assert answering.exception() is None
        assert [call.result().status_code for call in rest] == [200, 200, 200]
        assert [call.result().outputs["found"].float_val[0] for call in remote] == [1, 1, 1]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/v1/models/toy")


def test_grace_is_limited(folder: Path, tmp_path: Path, arrived: list[str]) -> None:
    """Whoever waited for these two requests would wait for ever."""
    never = Waiting(tmp_path / "never")
    with ThreadPoolExecutor(2) as threads:
        with protocol_server.serving(folder, grace_s=0.2, timeout_s=HANG_S) as server:
            rest = threads.submit(
                httpx.post, server.url + PREDICT, json=never.row(), timeout=HANG_S
            )
            remote = threads.submit(server.predictions.Predict, never.message(), HANG_S)
            wait_until(lambda: arrived == ["wait"] * 2)
        assert rest.result().status_code == 503
        failed = remote.exception()
        assert isinstance(failed, grpc.RpcError)
        assert failed.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_signal_ends_it_under_load_and_no_request_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long a client pauses, its connection is closed by an answer and not by the server.
    monkeypatch.setattr(http_limits, "LINGER_S", HANG_S)
    rest, remote = [Counter[str](), Counter[str]()], [Counter[str](), Counter[str]()]

    def ask_rest(address: Address, ends: Counter[str]) -> None:
        with httpx.Client(timeout=HANG_S) as client:
            told_to_go = False
            while not told_to_go:
                url = f"http://127.0.0.1:{address.rest_port}{PREDICT}"
                answer = client.post(url, json={"instances": ["a"]})
                ends[str(answer.status_code)] += 1
                told_to_go = answer.headers.get("connection") == "close"

    def ask_remote(address: Address, ends: Counter[str]) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{address.port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while "UNAVAILABLE" not in ends:
                try:
                    stub.Predict(_echo(), timeout=HANG_S)
                    ends["OK"] += 1
                except grpc.RpcError as error:
                    ends[error.code().name] += 1

    def scenario(address: Address, lines: list[str]) -> None:
        with ThreadPoolExecutor(4) as threads:
            asking = [threads.submit(ask_rest, address, ends) for ends in rest]
            asking += [threads.submit(ask_remote, address, ends) for ends in remote]
            wait_until(lambda: all(sum(ends.values()) > 10 for ends in rest + remote))
            os.kill(os.getpid(), signal.SIGTERM)
            for each in asking:
                each.result()

    assert _served(folder, scenario)[-1] == "stopping"
    assert [set(ends) for ends in rest] == [{"200"}] * 2
    # What came too late was refused with the code after which clients try elsewhere.
    assert [set(ends) for ends in remote] == [{"OK", "UNAVAILABLE"}] * 2


def test_a_second_signal_ends_it_at_once(folder: Path, tmp_path: Path) -> None:
    """The first one waits for a request that is never answered."""
    never = Waiting(tmp_path / "never")

    def scenario(address: Address, lines: list[str]) -> None:
        url = f"http://127.0.0.1:{address.rest_port}{PREDICT}"
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(httpx.post, url, json=never.row(), timeout=HANG_S)
            never.until_started()
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                wait_until(lambda: "stopping" in lines)
            assert waiting.exception() or waiting.result().status_code == 503

    _served(folder, scenario)


def _served(folder: Path, scenario: Callable[[Address, list[str]], None]) -> list[str]:
    """What `serve` logs in this thread, while a scenario in another one sends it its signals."""
    lines: list[str] = []

    def play() -> None:
        wait_until(lambda: bool(lines) and lines[-1].startswith("serving "))
        found = re.search(r"gRPC (.*):(\d+), REST http://.*:(\d+)$", lines[-1])
        try:
            assert found
            scenario(Address(found[1], int(found[2]), int(found[3])), lines)
        except BaseException:
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    with ThreadPoolExecutor(1) as thread:
        playing = thread.submit(play)
        serve(folder, port=0, rest_port=0, grace_s=HANG_S, gate=open_gate, log=lines.append)
        playing.result()
    return lines


def _echo() -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "toy"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto([b"a"]))
    return request


def _refuses(server: Server) -> bool:
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "toy"
    try:
        server.models.GetModelStatus(asked, timeout=HANG_S)
    except grpc.RpcError as error:
        return error.code() is grpc.StatusCode.UNAVAILABLE
    return False


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
