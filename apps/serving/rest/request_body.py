"""The body of an HTTP request, read within limits of size and time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from apps.serving.errors import Code, ServingError

DRAIN_S = 2.0
_CODES = {413: Code.RESOURCE_EXHAUSTED, 408: Code.DEADLINE_EXCEEDED}
_GZIP = 31  # zlib's number for the gzip format


class BodyError(ServingError):
    """A body that is not taken.

    Args:
        status: the HTTP status that says why.
        message: the same for a person.
        arrived: whether the client has sent all of it.
    """

    def __init__(self, status: int, message: str, *, arrived: bool = False) -> None:
        super().__init__(_CODES.get(status, Code.INVALID_ARGUMENT), message)
        self.status = status
        self.arrived = arrived


async def read_body(request: Request, most_bytes: int, timeout_s: float) -> bytes:
    """The whole body, unpacked where it is compressed.

    Args:
        request: a request whose body has not been touched.
        most_bytes: the largest body, packed and unpacked; no more than that is held in memory.
        timeout_s: seconds in which the client must have sent it.

    Raises:
        BodyError: 413 too large, 408 too slow, 415 or 400 packed in a way that cannot be unpacked.
        ClientDisconnect: the client has gone.
    """
    too_large = BodyError(413, f"Request body is larger than {most_bytes} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most_bytes:
        raise too_large
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise BodyError(415, f"Content-Encoding {encoding} is not supported; send gzip or none")
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for part in request.stream():
                body += part
                if len(body) > most_bytes:
                    raise too_large
    except TimeoutError:
        raise BodyError(408, f"Request body did not arrive within {timeout_s:g} s") from None
    if encoding == "gzip":
        return await asyncio.to_thread(_unpack, bytes(body), most_bytes)
    return bytes(body)


async def drain(request: Request) -> None:
    """Read and drop what the client still sends, for a short while.

    A connection that is closed with data unread is reset, and the client may lose the answer that
    told it to stop.
    """
    try:
        async with asyncio.timeout(DRAIN_S):
            async for _ in _rest(request):
                pass
    except (TimeoutError, ClientDisconnect):
        pass


async def _rest(request: Request) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _unpack(packed: bytes, most_bytes: int) -> bytes:
    body = bytearray()
    while packed:
        member = zlib.decompressobj(_GZIP)
        try:
            body += member.decompress(packed, most_bytes - len(body) + 1)
        except zlib.error as error:
            raise _damaged(str(error)) from None
        if len(body) > most_bytes:
            message = f"Request body is larger than {most_bytes} bytes when unpacked"
            raise BodyError(413, message, arrived=True)
        if not member.eof:
            raise _damaged("it is cut short")
        packed = member.unused_data
    return bytes(body)


def _damaged(reason: str) -> BodyError:
    return BodyError(400, f"Request body is not valid gzip: {reason}", arrived=True)
