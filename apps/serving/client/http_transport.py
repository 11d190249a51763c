"""Calls over TensorFlow Serving's REST interface."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
from google.protobuf import json_format

from apps.serving.client import messages
from apps.serving.client.calls import CallError, Target
from apps.serving.client.metadata import ModelMetadata, Signature, TensorSpec

_CODES = {
    HTTPStatus.BAD_REQUEST: "INVALID_ARGUMENT",
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.REQUEST_TIMEOUT: "DEADLINE_EXCEEDED",
    HTTPStatus.CONFLICT: "ABORTED",
    HTTPStatus.PRECONDITION_FAILED: "FAILED_PRECONDITION",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RESOURCE_EXHAUSTED",
    HTTPStatus.TOO_MANY_REQUESTS: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    HTTPStatus.NOT_IMPLEMENTED: "UNIMPLEMENTED",
    HTTPStatus.BAD_GATEWAY: "UNAVAILABLE",
    HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE",
    HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_EXCEEDED",
}
_RETRYABLE = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64)
_EXCERPT = 300


class HttpTransport:
    """Pooled connections to a server; its methods may be called from several threads.

    Args:
        url: `http://host:port` or `https://…`, with a path before `/v1` where a proxy wants one.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, limits=_LIMITS)

    def predict(
        self,
        target: Target,
        name: str,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        """The named outputs of one request."""
        path, body = encode_predict(target, name, arrays)
        answer = self._call("POST", path, timeout_s, body)
        try:
            return decode_predict(answer, signature)
        except (KeyError, ValueError, TypeError) as error:
            raise CallError("INTERNAL", f"the answer cannot be read: {error}") from None

    def metadata(self, target: Target, timeout_s: float) -> ModelMetadata:
        """What a version takes and gives."""
        answer = self._call("GET", f"{_path(target)}/metadata", timeout_s)
        definitions = messages.SignatureDefMap()
        try:
            found = json.loads(answer)
            version = int(found["model_spec"]["version"])
            json_format.ParseDict(
                found["metadata"]["signature_def"], definitions, ignore_unknown_fields=True
            )
        except (KeyError, ValueError, TypeError, json_format.ParseError) as error:
            raise CallError("INTERNAL", f"the answer cannot be read: {error}") from None
        return ModelMetadata.from_message(target.model, version, definitions)

    def status(self, target: Target, timeout_s: float) -> Any:
        """A `GetModelStatusResponse`."""
        answer = self._call("GET", _path(target), timeout_s)
        found = messages.GetModelStatusResponse()
        try:
            return json_format.Parse(answer, found, ignore_unknown_fields=True)
        except json_format.ParseError as error:
            raise CallError("INTERNAL", f"the answer cannot be read: {error}") from None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _call(self, method: str, path: str, timeout_s: float, body: bytes | None = None) -> bytes:
        deadline = time.monotonic() + timeout_s
        parts: list[bytes] = []
        try:
            with self._client.stream(method, path, content=body, timeout=timeout_s) as response:
                for part in response.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > deadline:
                        # httpx limits each read; an answer that trickles in would take for ever.
                        raise httpx.ReadTimeout("the answer is too slow")
        except (httpx.HTTPError, RuntimeError) as error:
            raise call_error(error, timeout_s) from None
        if response.status_code != HTTPStatus.OK:
            raise refusal(response.status_code, b"".join(parts))
        return b"".join(parts)


def encode_predict(
    target: Target, name: str, arrays: Mapping[str, np.ndarray]
) -> tuple[str, bytes]:
    """Path and body of a predict request in column form.

    Args:
        target: whom to ask.
        name: the signature's name.
        arrays: the inputs; a text that is not UTF-8 travels in base64.
    """
    columns = {key: _to_json(array) for key, array in arrays.items()}
    body = json.dumps({"signature_name": name, "inputs": columns}, ensure_ascii=False)
    return f"{_path(target)}:predict", body.encode()


def decode_predict(answer: bytes, signature: Signature) -> dict[str, np.ndarray]:
    """The outputs in an answer in column form."""
    found = json.loads(answer)["outputs"]
    if len(signature.outputs) == 1 and not isinstance(found, Mapping):
        found = {next(iter(signature.outputs)): found}
    nothing = TensorSpec(None, None)
    return {
        name: _from_json(value, signature.outputs.get(name, nothing))
        for name, value in found.items()
    }


def refusal(status: int, body: bytes) -> CallError:
    """What an answer with another status than 200 means for the caller."""
    code = _CODES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    try:
        message = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        message = body[:_EXCERPT].decode(errors="replace").strip() or f"HTTP status {status}"
    return CallError(code, message, retryable=status in _RETRYABLE)


def call_error(error: Exception, timeout_s: float) -> CallError:
    """What a call without an answer means for the caller."""
    if isinstance(error, httpx.TimeoutException):
        return CallError("DEADLINE_EXCEEDED", f"no answer within {timeout_s:.3g} s")
    if isinstance(error, httpx.TransportError):
        message = str(error) or type(error).__name__
        retryable = not isinstance(error, httpx.UnsupportedProtocol)
        return CallError("UNAVAILABLE", message, retryable=retryable)
    if isinstance(error, RuntimeError):
        return CallError("CANCELLED", str(error))
    return CallError("INTERNAL", str(error))


def _path(target: Target) -> str:
    path = f"/v1/models/{quote(target.model, safe='')}"
    if target.version is not None:
        return f"{path}/versions/{target.version}"
    return path if target.label is None else f"{path}/labels/{quote(target.label, safe='')}"


def _to_json(array: np.ndarray) -> Any:
    if array.dtype != np.object_:
        return array.tolist()
    texts = np.empty(array.shape, np.object_)
    for place, text in np.ndenumerate(array):
        try:
            texts[place] = text.decode()
        except UnicodeDecodeError:
            texts[place] = {"b64": base64.b64encode(text).decode()}
    return texts.tolist()


def _from_json(value: Any, spec: TensorSpec) -> np.ndarray:
    if spec.dtype is not None and spec.dtype != np.object_:
        array = np.asarray(value, spec.dtype)
    else:
        array = np.asarray(value, None if spec.dtype is None else np.object_)
        if array.dtype.kind in "OU":
            array = np.array(array, np.object_)
            for place, text in np.ndenumerate(array):
                binary = isinstance(text, Mapping)
                array[place] = base64.b64decode(text["b64"]) if binary else text.encode()
    if not array.size and spec.shape is not None and array.ndim != len(spec.shape):
        array = array.reshape([0, *(size or 0 for size in spec.shape[1:])])
    return array
