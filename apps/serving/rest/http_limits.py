"""uvicorn's HTTP connection with limits: on the time and room of headers, and on sudden ends."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEADER_BYTES = 64 * 1024
HEADER_S = 10.0
LINGER_S = 0.2


class LimitedConnection(HttpToolsProtocol):
    """uvicorn bounds no headers, and a client could hold memory and sockets for ever."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._late: asyncio.TimerHandle | None = None
        self._waiting = False
        self._header_bytes = 0
        self._done = False
        self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) >= (self.limit_concurrency or math.inf):
            self._refuse(503, "Too many connections")
        else:
            self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_headers()

    def on_headers_complete(self) -> None:
        self._headers_arrived()
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        if self._done or self.transport.is_closing():
            return
        super().data_received(data)
        if self._waiting:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse(431, f"Request headers are larger than {HEADER_BYTES} bytes")

    def shutdown(self) -> None:
        # A request may be on its way over an idle connection: closing at once would lose it.
        self._stopping = True
        if self._is_answering():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(LINGER_S, self._close_if_idle)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, f"Malformed request: {msg}")

    def _expect_headers(self) -> None:
        self._headers_arrived()
        self._waiting = True
        self._late = self.loop.call_later(HEADER_S, self._headers_late)

    def _headers_arrived(self) -> None:
        self._waiting, self._header_bytes = False, 0
        if self._late:
            self._late.cancel()
            self._late = None

    def _headers_late(self) -> None:
        if not self._header_bytes and not self._is_answering():
            self.transport.close()
        elif not self._is_answering():
            self._refuse(408, f"Request headers did not arrive within {HEADER_S:g} s")

    def _close_if_idle(self) -> None:
        if not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: int, message: str) -> None:
        """Take nothing more from this connection, once what it has asked for is answered."""
        self._headers_arrived()
        self._done = True
        if self._is_answering() and not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        if not (self._is_answering() and self.cycle.response_started):
            body = json.dumps({"error": message}).encode()
            head = b"content-type: application/json\r\nconnection: close\r\n"
            size = b"content-length: %d\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + size + body)
        self.transport.close()
