"""REST: TensorFlow Serving's HTTP interface, its paths, bodies, status codes and errors."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import unquote

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from apps.serving import metrics as prometheus
from apps.serving.errors import Code, ServingError, http_status, invalid, unavailable
from apps.serving.examples import classify, regress
from apps.serving.model_info import SIGNATURE_DEF, metadata, status
from apps.serving.models.served import Choice, Models
from apps.serving.rest.json_examples import read_examples, write_classifications, write_regressions
from apps.serving.rest.json_tensors import read_inputs, write_outputs
from apps.serving.rest.json_values import parse, signature_name
from apps.serving.rest.request_body import BodyError, drain, read_body

JSON = "application/json"
STOPPING = "The server is stopping"
LARGE_BYTES = 1 << 20  # JSON of this size is read and written beside the event loop
WATCH_AFTER_S = 0.05  # a request that takes longer is watched for a client that has gone

_VERSION = r"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE
)
_LARGEST_VERSION = 2**63 - 1

_log = logging.getLogger(__name__)
Result = TypeVar("Result")


class RestApi:
    """The ASGI application.

    Args:
        models: what is served.
        metrics: counts the requests, and is given at its own path.
        most_bytes: the largest body, packed and unpacked.
        timeout_s: seconds for a body to arrive, and again for its answer.
    """

    def __init__(
        self, models: Models, metrics: prometheus.Metrics, *, most_bytes: int, timeout_s: float
    ) -> None:
        self._models = models
        self._metrics = metrics
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except BodyError as error:
            response = _refusal(error.status, error.message)
            if not error.arrived:
                await _stop_sending(request, send, response)
                return
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            response = _refusal(503, STOPPING)
        except ServingError as error:
            if error.code is Code.CANCELLED:  # its model was closed while it was computed
                error = unavailable(STOPPING)
            response = _refusal(http_status(error.code), error.message)
        except Exception:
            _log.exception("a REST request failed")
            response = _refusal(500, "Internal error; the server's log has the reason")
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        method = request.method
        if method == "GET" and path == prometheus.PATH:
            return Response(self._metrics.page(), media_type=prometheus.CONTENT_TYPE)
        if method == "POST" and (asked := _PREDICTION.fullmatch(path)):
            return await self._predict(request, asked)
        if method == "GET" and (asked := _STATUS.fullmatch(path)):
            return self._describe(asked)
        known = path.lower().startswith("/v1/")
        return _refusal(400 if known else 404, f"Malformed request: {method} {path}")

    async def _predict(self, request: Request, asked: re.Match[str]) -> Response:
        start = time.perf_counter()
        method = asked["method"].lower()
        name, code = unquote(asked["name"]), Code.CANCELLED
        try:
            choice = _choice(asked)
            body = await read_body(request, self._most_bytes, self._timeout_s)
            written = await _unless_gone(request, self._answer(method, choice, body))
            code = Code.OK
            return Response(written, media_type=JSON)
        except ServingError as error:
            code = error.code
            raise
        except ClientDisconnect:
            raise
        except Exception:
            code = Code.INTERNAL
            raise
        finally:
            self._metrics.answered(name, method, "REST", code, time.perf_counter() - start)

    async def _answer(self, method: str, choice: Choice, body: bytes) -> bytes:
        document = await _aside(lambda: parse(body), len(body))
        signature = signature_name(document)
        if method == "predict":
            return await self._on_tensors(choice, signature, document, len(body))
        asked = (self._models, choice, signature, read_examples(document), self._timeout_s)
        if method == "classify":
            return write_classifications((await classify(*asked))[1])
        return write_regressions((await regress(*asked))[1])

    async def _on_tensors(
        self, choice: Choice, signature: str, document: dict[str, Any], size: int
    ) -> bytes:
        _, _, signatures = self._models.signatures(choice)
        if signature not in signatures:
            raise invalid(f'Serving signature name: "{signature}" not found in signature def')
        known = signatures[signature].inputs
        inputs, form = await _aside(lambda: read_inputs(document, known), size)
        answer = await self._models.predict(choice, signature, inputs, (), self._timeout_s)
        written = sum(array.nbytes for array in answer.outputs.values())
        return await _aside(lambda: write_outputs(answer.outputs, form), written)

    def _describe(self, asked: re.Match[str]) -> Response:
        if not asked["name"]:
            raise invalid("Missing model name in request.")
        choice = _choice(asked)
        if not asked["metadata"]:
            return _json(_fields(status(self._models, choice)))
        described, signatures = metadata(self._models, choice)
        return _json(
            {
                "model_spec": _fields(described.model_spec),
                "metadata": {SIGNATURE_DEF: _fields(signatures)},
            }
        )


def _choice(asked: re.Match[str]) -> Choice:
    label = unquote(asked["label"]) if asked["label"] else None
    version = int(asked["version"]) if asked["version"] else None
    if version is not None and version > _LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {asked['version']} to numeric.")
    return Choice(unquote(asked["name"]), version=version, label=label)


def _fields(message: Message) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(value: dict[str, Any], code: int = 200, **headers: str) -> Response:
    return Response(json.dumps(value, indent=1) + "\n", code, headers, JSON)


def _refusal(code: int, message: str) -> Response:
    return _json({"error": message}, code)


async def _aside(work: Callable[[], Result], size: int) -> Result:
    """What `work` returns, computed in a thread if it would hold up the event loop."""
    return work() if size < LARGE_BYTES else await asyncio.to_thread(work)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of some work, which is given up when the client has gone."""
    task = asyncio.ensure_future(work)
    gone: asyncio.Task[None] | None = None
    try:
        # Most answers are there at once; only those that are not cost a second task.
        await asyncio.wait({task}, timeout=WATCH_AFTER_S)
        if not task.done():
            gone = asyncio.create_task(_disconnected(request))
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        if gone:
            gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stop_sending(request: Request, send: Send, response: Response) -> None:
    """Answer a request whose body is not read to its end, and close the connection."""
    response.headers["connection"] = "close"
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    await drain(request)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
