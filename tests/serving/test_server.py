"""The server as a whole: its ports, its signals, and what happens to requests when it stops."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import protocol_server
import protocol_toys
import pytest
import tensorflow as tf
from protocol_server import open_gate
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from apps.errors import UserError
from apps.serving import server as server_module
from apps.serving.server import Address, running

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PREDICT = "/v1/models/toy:predict"
ROUNDS = 1500  # a few tenths of a second


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served folder with one model."""
    toy = protocol_toys.save(tmp_path_factory.mktemp("toy") / "1")
    return protocol_server.publish_toy(tmp_path_factory.mktemp("server") / "models", toy)


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

    async def scenario() -> None:
        async with running(folder, port=0, rest_port=0, gate=open_gate) as address:
            held = [await asyncio.open_connection("127.0.0.1", address.rest_port) for _ in range(8)]
            url = f"http://127.0.0.1:{address.rest_port}/v1/models/toy"
            async with httpx.AsyncClient() as client:
                refused = await client.get(url)
                assert refused.status_code == 503
                assert refused.json() == {"error": "Too many connections"}
            for _, writer in held:
                writer.close()
                await writer.wait_closed()
            async with asyncio.timeout(10):
                while (await httpx.AsyncClient().get(url)).status_code != 200:
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())


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
        assert httpx.get(f"{server.url}/v1/models/toy").status_code == 200
    with protocol_server.serving(folder) as server:
        assert not any("authentication" in line for line in server.lines)


def test_ipv6(folder: Path) -> None:
    if not _has_ipv6():
        pytest.skip("no IPv6 on this machine")
    with protocol_server.serving(folder, host="::1") as server:
        url = f"http://[::1]:{server.address.rest_port}/v1/models/toy"
        assert httpx.get(url).status_code == 200
        with grpc.insecure_channel(f"[::1]:{server.address.port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(_slow(1), timeout=20).outputs["rounds"].int_val == [1]
        assert str(server.address).startswith("gRPC [::1]:")


def test_requests_under_way_are_answered_when_it_stops(folder: Path) -> None:
    threads = ThreadPoolExecutor(6)
    with protocol_server.serving(folder) as server:
        rest = [
            threads.submit(httpx.post, server.url + PREDICT, json=_slow_row(), timeout=20)
            for _ in range(3)
        ]
        remote = [threads.submit(server.predictions.Predict, _slow(), 20) for _ in range(3)]
        time.sleep(0.15)
        assert not any(call.done() for call in rest + remote)
        address, stopping = server.address, time.perf_counter()
    # The server has been stopped while these were waiting for their answers.
    assert [call.result().status_code for call in rest] == [200, 200, 200]
    assert [call.result().outputs["rounds"].int_val[0] for call in remote] == [ROUNDS] * 3
    assert time.perf_counter() - stopping < 15
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{address.rest_port}/v1/models/toy")


def test_grace_is_limited(folder: Path) -> None:
    with (
        ThreadPoolExecutor(2) as threads,
        protocol_server.serving(folder, grace_s=1, timeout_s=60) as server,
    ):
        body = _slow_row(20_000)
        rest = threads.submit(httpx.post, server.url + PREDICT, json=body, timeout=60)
        remote = threads.submit(server.predictions.Predict, _slow(20_000), 60)
        time.sleep(0.3)
        start = time.perf_counter()
    assert rest.result().status_code == 503
    failed = remote.exception()
    assert isinstance(failed, grpc.RpcError)
    assert failed.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert time.perf_counter() - start < 10


def test_a_process_serves_strangers_and_stops_when_told(folder: Path, tmp_path: Path) -> None:
    with _process(folder) as (process, address):
        ports = [str(address.port), str(address.rest_port)]
        stranger = subprocess.run(
            [sys.executable, "-I", str(HERE / "protocol_stranger.py"), *ports],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert stranger.returncode == 0, stranger.stderr
        assert json.loads(stranger.stdout) == {
            "grpc": [7, 1],
            "rest": [7, 1],
            "version": 1,
            "package": False,
        }
        answers = _load_until_it_stops(address, lambda: process.send_signal(signal.SIGTERM))
        assert process.wait(20) == 0
        rest, remote = answers
        assert rest["answered"] > 10
        assert remote["answered"] > 10
        # What came too late was refused, not swallowed: no connection, or gRPC's retryable code.
        assert set(rest) == {"answered", "ConnectError"}
        assert set(remote) == {"answered", "UNAVAILABLE"}


def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    with _process(folder) as (process, address), ThreadPoolExecutor(1) as threads:
        url = f"http://127.0.0.1:{address.rest_port}{PREDICT}"
        waiting = threads.submit(httpx.post, url, json=_slow_row(20_000), timeout=60)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        assert waiting.exception() or waiting.result().status_code == 503


@contextmanager
def _process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Address]]:
    command = [sys.executable, str(HERE / "protocol_process.py"), str(folder)]
    paths = os.pathsep.join([str(ROOT), str(HERE)])
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        try:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if found := re.match(r"serving .*: gRPC (.*):(\d+), REST http://.*:(\d+)$", line):
                    break
            else:
                pytest.fail(f"it ended: {lines}")
            yield process, Address(found[1], int(found[2]), int(found[3]))
        finally:
            process.kill()


def _load_until_it_stops(address: Address, stop: Any) -> tuple[dict[str, int], dict[str, int]]:
    """How often requests of each protocol had which end, while the server was told to stop."""
    rest: dict[str, int] = {}
    remote: dict[str, int] = {}

    def ask_rest() -> None:
        url = f"http://127.0.0.1:{address.rest_port}{PREDICT}"
        with httpx.Client(timeout=20) as client:
            while "ConnectError" not in rest:
                try:
                    answer = client.post(url, json={"instances": ["a"]})
                    end = "answered" if answer.status_code == 200 else str(answer.status_code)
                except httpx.HTTPError as error:
                    end = type(error).__name__
                rest[end] = rest.get(end, 0) + 1

    def ask_remote() -> None:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "toy"
        request.inputs["text"].CopyFrom(tf.make_tensor_proto([b"a"]))
        with grpc.insecure_channel(f"127.0.0.1:{address.port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while "UNAVAILABLE" not in remote:
                try:
                    stub.Predict(request, timeout=20)
                    end = "answered"
                except grpc.RpcError as error:
                    end = error.code().name
                remote[end] = remote.get(end, 0) + 1

    threads = [threading.Thread(target=target) for target in [ask_rest, ask_remote] * 2]
    for thread in threads:
        thread.start()
    time.sleep(1)
    stop()
    for thread in threads:
        thread.join(30)
    return rest, remote


def _slow(rounds: int = ROUNDS) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "toy", "slow"
    request.inputs["rounds"].CopyFrom(tf.make_tensor_proto([rounds]))
    return request


def _slow_row(rounds: int = ROUNDS) -> dict[str, Any]:
    return {"signature_name": "slow", "instances": [rounds]}


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
