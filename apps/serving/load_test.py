"""A load generator: many clients that each wait for an answer before they ask again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np

from apps.errors import UserError
from apps.serving.client import grpc_transport, http_transport
from apps.serving.client.calls import CallError, Target
from apps.serving.client.client import Client
from apps.serving.client.metadata import Signature
from apps.serving.client.values import columns
from apps.serving.http_connection import HttpConnection, post

Ask = Callable[[int], Awaitable[None]]
_PAUSE_AFTER_ERROR_S = 0.001


@dataclass(frozen=True)
class LoadResult:
    """What a load test measured.

    Attributes:
        url: the server.
        model: the model that was asked.
        clients: how many asked at the same time.
        seconds: from the first request to the last answer.
        requests: how many were answered.
        errors: how many were not, by the name of gRPC's status code.
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

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)

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
    version: int | None = None,
    label: str | None = None,
    signature: str = "serving_default",
    clients: int = 8,
    seconds: float = 10.0,
    requests: int | None = None,
    timeout_s: float = 10.0,
) -> LoadResult:
    """Ask a server as fast as it answers, and measure how fast that is.

    Requests are encoded beforehand and answers are not decoded, so that the server is measured and
    not the client. No request is repeated. One request per client goes before, unmeasured.

    Args:
        url: as `Client` takes it.
        inputs: raw inputs as `Client.predict` takes them; each becomes a request of one row, and
            they are asked in turn.
        model: the name under which the server has the model.
        version: a version number; the newest where neither it nor a label is given.
        label: a version label.
        signature: the signature's name.
        clients: how many ask at the same time.
        seconds: when no new request is begun; what is under way then is waited for.
        requests: how many are measured at most; as many as fit into the time unless given.
        timeout_s: how long one answer may take, so that the test ends after `seconds + timeout_s`.

    Raises:
        UserError: the server cannot be reached or refuses the first input, inputs that the
            signature does not take, or bounds that allow no request.
    """
    bounds = {"clients": clients, "seconds": seconds, "timeout_s": timeout_s, "requests": requests}
    for name, bound in bounds.items():
        if bound is not None and not bound > 0:
            raise UserError(f"{name}: {bound} allows no request; give more than 0")
    target = Target(model, version, label)
    taken = _checked(url, target, signature, _row(inputs, 0), timeout_s)
    arrays = [columns(_row(inputs, row), taken)[0] for row in range(len(inputs))]
    if urlsplit(url).scheme.startswith("grpc"):
        messages = [grpc_transport.encode_predict(target, signature, made) for made in arrays]
        sender = _grpc_sender(url, messages, timeout_s)
    else:
        asks = [http_transport.encode_predict(target, signature, made) for made in arrays]
        posts = [post(url, path, body) for path, body in asks]
        sender = _http_sender(url, posts, clients, timeout_s)
    spent, times, errors = asyncio.run(_run(sender, clients, seconds, requests))
    p50, p95, p99, longest = (
        (round(float(value), 4) for value in np.percentile(times, [50, 95, 99, 100]) * 1000)
        if times
        else [None] * 4
    )
    return LoadResult(
        url=url,
        model=str(target),
        clients=clients,
        seconds=round(spent, 6),
        requests=len(times),
        errors=dict(errors),
        throughput=round(len(times) / spent, 2),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=longest,
    )


def _checked(
    url: str, target: Target, name: str, row: Sequence[Any], timeout_s: float
) -> Signature:
    """The signature of a server that answers its first request."""
    chosen: Any = {"version": target.version, "label": target.label, "timeout_s": timeout_s}
    try:
        with Client(url) as client:
            taken = client.metadata(target.model, **chosen).signature(name)
            client.predict(row, target.model, signature=name, **chosen)
            return taken
    except CallError as error:
        hint = "; is a server running there?" if error.code == "UNAVAILABLE" else ""
        raise UserError(f"{url}: {error}{hint}") from None


def _row(inputs: Sequence[Any], row: int) -> Sequence[Any]:
    if isinstance(inputs, (str, bytes)) or not len(inputs):
        raise UserError("inputs: give a list with at least one input")
    return inputs[row : row + 1]


async def _run(
    sender: Any, clients: int, seconds: float, requests: int | None
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
                # A refused connection fails at once; without a pause the loop would only spin.
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
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
