"""A server in a thread of the test process, and plain sockets to be rude to it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from toy_models import STARTED

from apps.serving.server import Address, running

HANG_S = 180  # what takes so long will never come


def open_gate(version: Path) -> Any:
    """A gate that lets every version pass."""
    return SimpleNamespace(passed=True, refusal=None, transient=False)


@dataclass
class Server:
    """What it serves, where it listens, and what it has logged."""

    folder: Path
    address: Address
    lines: list[str]
    channel: grpc.Channel

    def __post_init__(self) -> None:
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.url = f"http://127.0.0.1:{self.address.rest_port}"

    @contextmanager
    def socket(self) -> Iterator[socket.socket]:
        """A connection to the REST port."""
        with socket.create_connection(("127.0.0.1", self.address.rest_port), HANG_S) as connection:
            yield connection

    def answer(self, *parts: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of a request that is sent as raw bytes."""
        with self.socket() as connection:
            for part in parts:
                connection.sendall(part)
            return read_answer(connection)


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[Server]:
    """A server for the block, on ports of its own."""
    options = {"gate": open_gate, "poll_s": 0.1, **options}
    lines: list[str] = []
    ready: asyncio.Future[Address]
    loop = asyncio.new_event_loop()
    ready, stop = loop.create_future(), asyncio.Event()

    async def run() -> None:
        async with running(folder, log=lines.append, **options) as address:
            ready.set_result(address)
            await stop.wait()

    task = loop.create_task(run())
    thread = threading.Thread(target=lambda: loop.run_until_complete(task))
    thread.start()
    channel = None
    try:
        asked = asyncio.run_coroutine_threadsafe(_first(ready, task), loop)
        address = asked.result(HANG_S)
        channel = grpc.insecure_channel(f"127.0.0.1:{address.port}")
        yield Server(folder, address, lines, channel)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(HANG_S)
        loop.close()
        if channel:
            channel.close()


async def _first(ready: asyncio.Future[Address], task: asyncio.Task[None]) -> Address:
    ends: set[asyncio.Future[Any]] = {ready, task}
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    return ready.result()


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again until a condition holds."""
    end = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


class Waiting:
    """A request for `wait`, which is answered once `answer` has been called.

    Args:
        file: a place of its own.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def row(self) -> dict[str, Any]:
        """The body of a REST request."""
        return {"signature_name": "wait", "instances": [str(self._file)]}

    def message(self) -> predict_pb2.PredictRequest:
        """The message of a gRPC request."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "toy", "wait"
        request.inputs["file"].CopyFrom(tf.make_tensor_proto([str(self._file)]))
        return request

    def until_started(self) -> None:
        """Return when the model computes the answer."""
        started = self._file.with_name(self._file.name + STARTED)
        wait_until(started.exists)

    def answer(self) -> None:
        """Have the model answer."""
        self._file.touch()


def head(method: str, path: str, **headers: str | int) -> bytes:
    """The head of a request, to be sent over a socket."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of the next answer on a connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, f"closed after {received!r}"
        received += part
    top, _, body = received.partition(b"\r\n\r\n")
    status, *fields = top.decode().split("\r\n")
    sizes = [line for line in fields if line.lower().startswith("content-length:")]
    size = int(sizes[0].split(":")[1])
    while len(body) < size:
        part = connection.recv(65536)
        assert part, f"closed after {len(body)} of {size} bytes"
        body += part
    return int(status.split()[1]), json.loads(body[:size])


def publish_toy(folder: Path, toy: Path) -> Path:
    """A served folder with the toy as version 1 of `toy`, labelled `stable`."""
    (folder / "toy").mkdir(parents=True)
    shutil.copytree(toy, folder / "toy" / "1")
    (folder / "models.config").write_text(
        'model_config_list { config { name: "toy" base_path: "/models/toy" '
        'model_platform: "tensorflow" version_labels { key: "stable" value: 1 } } }'
    )
    return folder
