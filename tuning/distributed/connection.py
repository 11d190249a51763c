"""Calls to a chief that may be gone for a while."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import tenacity

from apps.errors import UserError
from tuning.distributed.address import Address
from tuning.distributed.protocol import SERVICE, versions
from tuning.settings import SearchSettings

_CALL_S = 30.0  # an oracle that fits a Gaussian process takes seconds to answer
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),  # a cluster's proxy leads out of it, not to the chief
)
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
_LARGEST_WAIT_S = 1.0


class Connection:
    """A worker's line to its chief; its methods may be called from several threads.

    Args:
        chief: `HOST:PORT`.
        patience_seconds: how long to wait for a chief that does not answer.
        log: takes a line when such a wait begins.

    Raises:
        UserError: the address is malformed.
    """

    def __init__(self, chief: str, patience_seconds: float, log: Callable[[str], None]) -> None:
        self._address = Address.parse(chief)
        self._patience_seconds = patience_seconds
        self._log = log
        self._channel = grpc.insecure_channel(str(self._address), _OPTIONS)

    def ask(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The chief's answer; it is asked again until it answers.

        Raises:
            UserError: the chief refuses, or cannot be reached within the patience.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_passes),
            stop=tenacity.stop_after_delay(self._patience_seconds),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=_LARGEST_WAIT_S),
            before_sleep=self._say_once,
            reraise=True,
        )
        timeout_s = min(_CALL_S, self._patience_seconds)
        try:
            return retrying(self.ask_once, method, timeout_s, **arguments)
        except grpc.RpcError as error:
            if not _passes(error):
                raise UserError(f"chief {self._address}: {error.details()}") from None
            raise UserError(
                f"chief {self._address}: no answer within {self._patience_seconds:g} s "
                f"({error.details()}); start it, or check --chief"
            ) from None

    def ask_once(self, method: str, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        """The chief's answer to a single call; raises grpc.RpcError where there is none."""
        call = self._channel.unary_unary(f"/{SERVICE}/{method}")
        return json.loads(call(json.dumps(arguments).encode(), timeout=timeout_s))

    def introduce(self) -> SearchSettings:
        """The settings of the chief's search.

        Raises:
            UserError: it has other versions than this process, or does not answer.
        """
        answer = self.ask("Describe")
        theirs = answer["versions"]
        for name, ours in versions().items():
            if theirs.get(name) != ours:
                raise UserError(
                    f"chief {self._address}: has {name} {theirs.get(name)}, this worker {ours}; "
                    "a search needs the same everywhere"
                )
        return SearchSettings.from_dict(answer["settings"])

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def _say_once(self, state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 2:
            self._log(f"chief {self._address} does not answer; waiting for it")


def _passes(error: BaseException) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() in _PASSING
