"""The client: inputs in, answers out, whatever the transport."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import numpy as np
import tenacity

from apps.answers import answers
from apps.errors import UserError
from apps.serving.client.calls import CallError, Target
from apps.serving.client.grpc_transport import PORT, GrpcTransport
from apps.serving.client.http_transport import HttpTransport
from apps.serving.client.messages import ENUMS
from apps.serving.client.metadata import ModelMetadata, Signature
from apps.serving.client.session import StreamingSession
from apps.serving.client.values import as_arrays, columns

Result = TypeVar("Result")
_STATES = {number: name for name, number in ENUMS["State"].items()}
_CODES = {number: name for name, number in ENUMS["Code"].items()}
_OUTDATED = {"INVALID_ARGUMENT", "NOT_FOUND"}


@dataclass(frozen=True)
class VersionStatus:
    """The state of one version on the server.

    Attributes:
        version: its number.
        state: `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`.
        error_code: `OK`, or why it is not available.
        error_message: the server's words for it.
    """

    version: int
    state: str
    error_code: str
    error_message: str


class Client:
    """Asks TensorFlow Serving or the local server; threads may share one.

    A call is tried again, after a random pause that doubles its range each time, where the server
    was not reached or had no room for it. Every timeout is that of the whole call, with its
    repetitions.

    Args:
        url: `grpc://HOST:PORT`, `grpcs://HOST:PORT` (TLS), `http://HOST:PORT` or `https://…`.
        attempts: how often a call is tried in all; 1 for never again.

    Raises:
        UserError: the URL is of another form.
    """

    def __init__(self, url: str, *, attempts: int = 5) -> None:
        if attempts < 1:
            raise UserError(f"attempts: {attempts} is too few; give 1 or more")
        self.url = url
        self._attempts = attempts
        self._transport = open_transport(url)
        self._known: dict[Target, ModelMetadata] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def predict(
        self,
        inputs: Any,
        model: str = "sentiment",
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "serving_default",
        timeout_s: float = 10.0,
    ) -> list[dict[str, Any]]:
        """Answers for a batch of inputs, in their order.

        Args:
            inputs: a list or array of raw values for a signature of one input, `["not bad"]`; a
                list of dicts of named values; or a dict of columns.
            model: the name under which the server has the model.
            version: a version number; the newest where neither it nor a label is given.
            label: a version label, such as `canary`.
            signature: the signature's name.
            timeout_s: seconds for the whole call.

        Returns:
            One dict of Python values per input. Probabilities are by label, where the model gives
            labels beside them: `{"label": "positive", "probabilities": {"negative": 0.1, …}}`.

        Raises:
            UserError: inputs that the signature does not take.
            CallError: the server refused, or did not answer in time.
        """
        if isinstance(inputs, (list, tuple)) and not inputs:
            return []
        rows = 0

        def arrays(taken: Signature) -> dict[str, np.ndarray]:
            nonlocal rows
            made, rows = columns(inputs, taken)
            return made

        target = Target(model, version, label)
        outputs = self._predict(target, signature, arrays, timeout_s)
        return answers(outputs, rows)

    def predict_raw(
        self,
        inputs: Mapping[str, Any],
        model: str = "sentiment",
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "serving_default",
        timeout_s: float = 10.0,
    ) -> dict[str, np.ndarray]:
        """Output arrays of one request, by name.

        Args:
            inputs: arrays by name, or what NumPy makes arrays of; texts as `str` or `bytes`.
            model: the name under which the server has the model.
            version: a version number; the newest where neither it nor a label is given.
            label: a version label, such as `canary`.
            signature: the signature's name.
            timeout_s: seconds for the whole call.

        Returns:
            Arrays of the signature's types; texts as objects that are `bytes`.

        Raises:
            UserError: inputs that the signature does not take.
            CallError: the server refused, or did not answer in time.
        """
        target = Target(model, version, label)
        return self._predict(target, signature, lambda taken: as_arrays(inputs, taken), timeout_s)

    def stream(
        self,
        model: str = "sentiment",
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "step",
        timeout_s: float = 10.0,
    ) -> StreamingSession:
        """A session that feeds one stream chunk by chunk to a model that carries states.

        Args:
            model: the name under which the server has the model.
            version: a version number; the newest where neither it nor a label is given.
            label: a version label.
            signature: the signature that takes and gives states, named `state_…`.
            timeout_s: seconds for each chunk.

        Raises:
            UserError: the signature does not stream.
            CallError: the server refused, or did not answer in time.
        """
        metadata = self._fetch(Target(model, version, label), timeout_s)
        chosen: Any = {"version": metadata.version, "signature": signature, "timeout_s": timeout_s}
        return StreamingSession(
            lambda arrays: self.predict_raw(arrays, model, **chosen), metadata, signature
        )

    def metadata(
        self,
        model: str = "sentiment",
        *,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float = 10.0,
    ) -> ModelMetadata:
        """What a version takes and gives, asked anew.

        Raises:
            CallError: the server refused, or did not answer in time.
        """
        return self._fetch(Target(model, version, label), timeout_s)

    def status(
        self,
        model: str = "sentiment",
        *,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float = 10.0,
    ) -> list[VersionStatus]:
        """The versions that the server has or had, newest first.

        Raises:
            CallError: the server refused, or did not answer in time.
        """
        target = Target(model, version, label)
        found = self._retried(lambda left: self._transport.status(target, left), timeout_s)
        versions = [
            VersionStatus(
                entry.version,
                _STATES.get(entry.state, "UNKNOWN"),
                _CODES.get(entry.status.error_code, "UNKNOWN"),
                entry.status.error_message,
            )
            for entry in found.model_version_status
        ]
        return sorted(versions, key=lambda entry: entry.version, reverse=True)

    def _predict(
        self,
        target: Target,
        name: str,
        arrays: Callable[[Signature], dict[str, np.ndarray]],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        deadline = time.monotonic() + timeout_s
        cached = target in self._known
        metadata = self._metadata(target, timeout_s)
        try:
            return self._ask(target, name, metadata, arrays, deadline)
        except (CallError, UserError) as error:
            if not cached or (isinstance(error, CallError) and error.code not in _OUTDATED):
                raise
            # A version that was published since may take other inputs than the one known here.
            fresh = self._fetch(target, max(deadline - time.monotonic(), 0.001))
            if fresh == metadata:
                raise
            return self._ask(target, name, fresh, arrays, deadline)

    def _ask(
        self,
        target: Target,
        name: str,
        metadata: ModelMetadata,
        arrays: Callable[[Signature], dict[str, np.ndarray]],
        deadline: float,
    ) -> dict[str, np.ndarray]:
        signature = metadata.signature(name)
        made = arrays(signature)
        return self._retried(
            lambda left: self._transport.predict(target, name, signature, made, left),
            deadline - time.monotonic(),
        )

    def _metadata(self, target: Target, timeout_s: float) -> ModelMetadata:
        with self._lock:
            known = self._known.get(target)
        return known or self._fetch(target, timeout_s)

    def _fetch(self, target: Target, timeout_s: float) -> ModelMetadata:
        found = self._retried(lambda left: self._transport.metadata(target, left), timeout_s)
        with self._lock:
            self._known[target] = self._known[Target(target.model, found.version)] = found
        return found

    def _retried(self, call: Callable[[float], Result], timeout_s: float) -> Result:
        """Call with the seconds that are left, again where that is safe and time allows it."""
        deadline = time.monotonic() + timeout_s
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts)
            | tenacity.stop_before_delay(timeout_s),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, CallError) and error.retryable
            ),
            reraise=True,
        )

        def attempt() -> Result:
            left = deadline - time.monotonic()
            if left <= 0:
                raise CallError("DEADLINE_EXCEEDED", f"no answer within {timeout_s:.3g} s")
            return call(left)

        return retrying(attempt)


def open_transport(url: str) -> GrpcTransport | HttpTransport:
    """The transport that a URL names.

    Raises:
        UserError: the URL is of another form.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme in ("grpc", "grpcs") and parts.hostname and parts.path in ("", "/"):
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        address = f"{host}:{port or PORT}"
        return GrpcTransport(address, secure=parts.scheme == "grpcs")
    if parts.scheme in ("http", "https") and parts.hostname:
        return HttpTransport(url)
    raise UserError(f"{url}: give grpc://HOST:PORT, grpcs://…, http://HOST:PORT or https://…")
