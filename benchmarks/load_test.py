"""Throughput and latency of a server under load from many clients that wait for answers.

    python -m benchmarks.load_test http://127.0.0.1:8501 --clients 32 --file texts.txt
    python -m benchmarks.load_test grpc://127.0.0.1:8500 "not bad at all" --requests 1000 --json

Requests are encoded beforehand and answers are not decoded, so that the server is measured and not
the client. Failed requests are not repeated. Each client first sends one request that is not
measured.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np

from apps.data.lines import text_lines
from apps.errors import UserError
from apps.serving.client import CallError, Client, Target, grpc_transport, http_transport
from apps.serving.client.metadata import Signature
from apps.serving.client.values import columns
from benchmarks.http_connection import HttpConnection, post

SIGNATURE = "serving_default"
PAUSE_AFTER_ERROR_S = 0.001
Ask = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class LoadResult:
    """The results of a load test.

    Attributes:
        url: the server.
        model: the model's name.
        clients: number of concurrent clients.
        seconds: from the first request to the last answer.
        requests: how many were answered.
        errors: how many failed, by the name of gRPC's status code.
        throughput: answers per second.
        p50_ms: median time of an answer, in milliseconds; None where there was none.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        max_ms: the longest.
    """

    url: str
    model: str
    clients: int
    seconds: float
    requests: int
    errors: dict[str, int]
    throughput: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    def __str__(self) -> str:
        failed = ", ".join(f"{count} {code}" for code, count in sorted(self.errors.items()))
        lines = [
            f"{self.url} {self.model}: {self.clients} clients, {self.seconds:.1f} s",
            f"throughput {self.throughput:.1f} answers/s ({self.requests} requests)",
            f"errors     {failed or 'none'}",
        ]
        if self.p50_ms is not None:
            lines[2:2] = [
                f"latency    p50 {self.p50_ms:.2f} ms, p95 {self.p95_ms:.2f} ms, "
                f"p99 {self.p99_ms:.2f} ms, max {self.max_ms:.2f} ms"
            ]
        return "\n".join(lines)


def load_test(
    url: str,
    inputs: Sequence[Any],
    *,
    model: str = "sentiment",
    clients: int = 8,
    seconds: float = 10.0,
    requests: int | None = None,
    timeout_s: float = 10.0,
) -> LoadResult:
    """Send a server requests as fast as it answers, and measure throughput and latency.

    Args:
        url: as `Client` takes it.
        inputs: raw inputs as `Client.predict` takes them; each becomes a request of one row, and
            they are sent in turn.
        model: the name under which the server has the model.
        clients: number of concurrent clients.
        seconds: time after which no new request is sent; pending ones are waited for.
        requests: how many are measured at most; None for as many as fit into the time.
        timeout_s: how long one answer may take, so that the test ends after `seconds + timeout_s`.

    Raises:
        UserError: the server cannot be reached or refuses the first input, the model does not
            take an input, or a bound allows no request.
    """
    bounds = {"clients": clients, "seconds": seconds, "timeout_s": timeout_s, "requests": requests}
    for name, bound in bounds.items():
        if bound is not None and not bound > 0:
            raise UserError(f"{name}: {bound} allows no request; give more than 0")
    if not inputs:
        raise UserError("inputs: give at least one")
    target = Target(model)
    signature = _signature_of(url, model, inputs[:1])
    arrays = [columns(inputs[row : row + 1], signature)[0] for row in range(len(inputs))]
    if urlsplit(url).scheme.startswith("grpc"):
        messages = [grpc_transport.encode_predict(target, SIGNATURE, made) for made in arrays]
        sender = _grpc_sender(url, messages, timeout_s)
    else:
        asks = [http_transport.encode_predict(target, SIGNATURE, made) for made in arrays]
        posts = [post(url, path, body) for path, body in asks]
        sender = _http_sender(url, posts, clients, timeout_s)
    spent, times, errors = asyncio.run(_run(sender, clients, seconds, requests))
    found = np.percentile(times, [50, 95, 99, 100]) * 1000 if times else [None] * 4
    latencies = [None if value is None else round(float(value), 4) for value in found]
    throughput = round(len(times) / spent, 2)
    spent = round(spent, 6)
    return LoadResult(url, model, clients, spent, len(times), dict(errors), throughput, *latencies)


def _signature_of(url: str, model: str, inputs: Sequence[Any]) -> Signature:
    """The signature of a model that answers its first request."""
    try:
        with Client(url) as client:
            client.predict(inputs, model)
            return client.metadata(model).signature(SIGNATURE)
    except CallError as error:
        hint = "; is a server running there?" if error.code == "UNAVAILABLE" else ""
        raise UserError(f"{url}: {error}{hint}") from None


async def _run(
    sender: AbstractAsyncContextManager[Ask], clients: int, seconds: float, requests: int | None
) -> tuple[float, list[float], Counter[str]]:
    """Seconds spent, the seconds of each answer, and the errors by code."""
    times: list[float] = []
    errors: Counter[str] = Counter()
    numbers = itertools.count() if requests is None else iter(range(requests))

    async def client(ask: Ask) -> None:
        for number in numbers:
            started = time.perf_counter()
            if started >= end:
                return
            try:
                await ask(number)
            except CallError as error:
                errors[error.code] += 1
                # A refused connection fails at once; without a pause this loop would spin.
                await asyncio.sleep(PAUSE_AFTER_ERROR_S)
            else:
                times.append(time.perf_counter() - started)

    async with sender as ask:
        await asyncio.gather(*(ask(number) for number in range(clients)), return_exceptions=True)
        begun = time.perf_counter()
        end = begun + seconds
        await asyncio.gather(*(client(ask) for _ in range(clients)))
        return time.perf_counter() - begun, times, errors


@asynccontextmanager
async def _grpc_sender(url: str, messages: list[bytes], timeout_s: float) -> AsyncIterator[Ask]:
    parts = urlsplit(url)
    address = parts.netloc if parts.port else f"{parts.netloc}:{grpc_transport.PORT}"
    if parts.scheme == "grpcs":
        credentials = grpc.ssl_channel_credentials()
        channel = grpc.aio.secure_channel(address, credentials, grpc_transport.OPTIONS)
    else:
        channel = grpc.aio.insecure_channel(address, grpc_transport.OPTIONS)
    async with channel:
        predict = channel.unary_unary(grpc_transport.PREDICT)

        async def ask(number: int) -> None:
            try:
                await predict(messages[number % len(messages)], timeout=timeout_s)
            except grpc.aio.AioRpcError as error:
                raise grpc_transport.call_error(error) from None

        yield ask


@asynccontextmanager
async def _http_sender(
    url: str, posts: list[bytes], clients: int, timeout_s: float
) -> AsyncIterator[Ask]:
    connections = [HttpConnection(url) for _ in range(clients)]
    idle = list(connections)

    async def ask(number: int) -> None:
        connection = idle.pop()
        try:
            async with asyncio.timeout(timeout_s):
                status, body = await connection.send(posts[number % len(posts)])
        except TimeoutError:
            raise CallError("DEADLINE_EXCEEDED", f"no answer within {timeout_s:.3g} s") from None
        except OSError as error:
            raise CallError("UNAVAILABLE", str(error)) from None
        finally:
            idle.append(connection)
        if status != HTTPStatus.OK:
            raise http_transport.refusal(status, body)

    try:
        yield ask
    finally:
        for connection in connections:
            connection.close()


def command_line() -> argparse.ArgumentParser:
    """The command's argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load_test", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("server", metavar="URL", help="http://HOST:PORT or grpc://HOST:PORT")
    parser.add_argument("inputs", nargs="*", metavar="INPUT")
    parser.add_argument("--file", metavar="F", help="a file with one input a line")
    parser.add_argument("--model", default="sentiment", metavar="M")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="8 by default")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="at most")
    parser.add_argument("--requests", type=int, metavar="N", help="at most")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a load test and print its results."""
    parser = command_line()
    options = parser.parse_args(arguments)
    try:
        inputs = list(options.inputs)
        if options.file:
            inputs += text_lines(Path(options.file))
        result = load_test(
            options.server,
            inputs,
            model=options.model,
            clients=options.clients,
            seconds=options.seconds,
            requests=options.requests,
        )
    except (UserError, OSError) as error:
        parser.exit(2, f"{error}\n")
    print(json.dumps(asdict(result)) if options.json else result)


if __name__ == "__main__":
    main()
