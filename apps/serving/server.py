"""A local server that speaks TensorFlow Serving's protocols, for development and tests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import grpc
import uvicorn

from apps.errors import UserError
from apps.serving.metrics import Metrics
from apps.serving.models.gates import Gate, quiet_gate
from apps.serving.models.served import Models
from apps.serving.rest.http_limits import LINGER_S, LimitedConnection
from apps.serving.rest.routes import RestApi
from apps.serving.rpc.servicers import add_services

KEEP_ALIVE_S = 75  # an idle connection outlives the pools of common HTTP clients
BACKLOG = 256
LAST_PORT = 65535
SPARE_FILES = BACKLOG + 128  # one backlog of connections; versions, the gate and TensorFlow
MOST_FILES = 65536

Log = Callable[[str], None]


@dataclass(frozen=True)
class Address:
    """Where a running server listens.

    Attributes:
        host: the interface.
        port: of gRPC.
        rest_port: of REST and metrics.
    """

    host: str
    port: int
    rest_port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"gRPC {host}:{self.port}, REST http://{host}:{self.rest_port}"


def _print(line: str) -> None:
    print(line, flush=True)  # whoever waits for the line may read it through a pipe


class Options(TypedDict, total=False):
    """What `running` takes beside the folder."""

    host: str
    port: int
    rest_port: int
    batching: bool
    poll_s: float
    max_request_mb: float
    timeout_s: float
    grace_s: float
    gate: Gate


def serve(folder: str | Path, *, log: Log = _print, **options: Unpack[Options]) -> None:
    """Serve a folder of models until SIGTERM or SIGINT.

    The first signal lets the requests under way finish; a second one ends the server at once.

    Args:
        folder: of all models, or of one; watched while the server runs.
        log: is told in one line of the addresses, and of every version that comes or goes.
        options: those of `running`; the ports are 8500 and 8501 unless given.

    Raises:
        UserError: the folder is missing, or a port or the interface cannot be used.
    """

    chosen: Options = {"port": 8500, "rest_port": 8501, **options}

    async def run() -> None:
        loop = asyncio.get_running_loop()
        stop, serving = asyncio.Event(), asyncio.Event()
        server = asyncio.current_task()
        assert server is not None

        def on_signal() -> None:
            if stop.is_set() or not serving.is_set():
                server.cancel()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        async with running(folder, log=log, **chosen) as address:
            serving.set()
            log(f"serving {folder}: {address}")
            await stop.wait()
            log("stopping")

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run())


@contextlib.asynccontextmanager
async def running(
    folder: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    rest_port: int = 0,
    batching: bool = True,
    poll_s: float = 1.0,
    max_request_mb: float = 64,
    timeout_s: float = 30,
    grace_s: float = 10,
    gate: Gate = quiet_gate,
    log: Log = _print,
) -> AsyncIterator[Address]:
    """A server inside this event loop, for as long as the block lasts.

    Args:
        folder: of all models, or of one; watched while the server runs.
        host: the interface to listen on; there is no authentication.
        port: of gRPC; 0 takes a free one.
        rest_port: of REST and metrics; 0 takes a free one.
        batching: whether a version's `batching_params.pbtxt` is followed.
        poll_s: seconds between two looks at the folder.
        max_request_mb: the largest request, in units of 2**20 bytes.
        timeout_s: seconds for a REST request's body to arrive, and again for its answer.
        grace_s: seconds that requests under way have once the block has ended.
        gate: says whether a version may be served.
        log: is told in one line of every version that comes or goes.

    Raises:
        UserError: the folder is missing, or a port or the interface cannot be used.
    """
    most_bytes = int(max_request_mb * 2**20)
    most_connections = _most_connections()
    metrics = Metrics()
    models = Models(folder, batching=batching, poll_s=poll_s, gate=gate, log=log, observer=metrics)
    with _bound(host, rest_port, "--rest-port") as listening:
        if not _is_loopback(host):
            log(f"{host} can be reached from other machines, and there is no authentication")
        rpc = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", most_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                ("grpc.max_allowed_incoming_connections", most_connections),
            ],
        )
        refuse_calls = add_services(rpc, models, metrics, most_bytes)
        bound_port = _add_port(rpc, host, port)
        rest = _RestServer(
            uvicorn.Config(
                RestApi(models, metrics, most_bytes=most_bytes, timeout_s=timeout_s),
                http=LimitedConnection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                limit_concurrency=most_connections,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(grace_s)),
            )
        )
        address = Address(host, bound_port, listening.getsockname()[1])
        try:
            await models.start()
            await rpc.start()
            serving = asyncio.create_task(rest.serve(sockets=[listening]))
            try:
                yield address
            finally:
                rest.should_exit = True
                refuse_calls()
                await asyncio.sleep(LINGER_S)
                await asyncio.gather(rpc.stop(grace_s), serving)
        except BaseException:
            grace_s = 0  # asked to end at once
            raise
        finally:
            await rpc.stop(None)
            await models.stop(grace_s)


def _most_connections() -> int:
    """How many connections each port may hold, once this process may open as many files as it can.

    A process that is out of files accepts no connection and spins on trying to.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(8, (most - SPARE_FILES) // 2)


class _RestServer(uvicorn.Server):
    """uvicorn without its signal handlers: they would end the process before gRPC is done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _bound(host: str, port: int, option: str) -> Iterator[socket.socket]:
    if not 0 <= port <= LAST_PORT:
        raise UserError(f"{option} {port}: a port is a number from 0 to {LAST_PORT}")
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"--host {host}: no such interface ({error}); try 127.0.0.1") from None
    with socket.socket(family, kind, protocol) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            # uvicorn listens later; until then a second server could bind the same port.
            listening.listen(BACKLOG)
        except OSError as error:
            raise _unusable(host, port, option, error) from None
        yield listening


def _add_port(rpc: grpc.aio.Server, host: str, port: int) -> int:
    # gRPC's own failure gives no reason, so the port is tried first.
    with _bound(host, port, "--port"):
        pass
    try:
        return rpc.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise _unusable(host, port, "--port", error) from None


def _unusable(host: str, port: int, option: str, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return UserError(
            f"{option} {port}: another program listens there; stop it, or take another port "
            "(0 for any free one)"
        )
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        return UserError(f"{option} {port}: permission denied; take a port above 1023")
    if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
        return UserError(f"--host {host}: no interface of this machine; try 127.0.0.1")
    return UserError(f"{option} {port}: cannot listen on {host}: {error}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
