"""One kept-alive HTTP connection of the load generator.

General HTTP clients in Python need more processor time for a request than a small model needs for
its answer. Here requests are encoded beforehand, and C code parses the answers.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import httptools


class HttpConnection(asyncio.Protocol):
    """Posts one request after the other; connects when needed.

    Args:
        url: `http://host:port` or `https://…`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._tls = ssl.create_default_context() if secure else None
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request made by `post`.

        Raises:
            OSError: the server cannot be reached, or closed the connection before it answered.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None:
            await loop.create_connection(lambda: self, self._host, self._port, ssl=self._tls)
        assert self._transport is not None
        self._parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._waiting = loop.create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            # The late answer would be taken as the answer to the connection's next request.
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"the answer is not HTTP: {error}"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(ConnectionResetError("the server closed the connection before it answered"))

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body; the parser calls this."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Hand over the whole answer; the parser calls this."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((self._parser.get_status_code(), b"".join(self._parts)))
        if not self._parser.should_keep_alive():
            self.close()

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def post(url: str, path: str, body: bytes) -> bytes:
    """A whole POST request.

    Args:
        url: the server's URL; a path in it goes before `path`.
        path: begins with a slash.
        body: JSON.
    """
    parts = urlsplit(url)
    head = (
        f"POST {parts.path.rstrip('/')}{path} HTTP/1.1\r\n"
        f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
