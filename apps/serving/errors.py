"""How a request fails: with a gRPC status code and a message, as TensorFlow Serving answers."""

from __future__ import annotations

from functools import partial

import grpc

Code = grpc.StatusCode

_CODES = {code.value[0]: code for code in Code}
_HTTP = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
}


class ServingError(Exception):
    """A request's failure, for the client to read.

    Args:
        code: one of gRPC's status codes.
        message: what went wrong, without a traceback.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def http_status(code: grpc.StatusCode) -> int:
    """The HTTP status under which TensorFlow Serving's REST interface gives a status code."""
    return _HTTP.get(code, 500)


def code_of(number: int) -> grpc.StatusCode:
    """The status code of TensorFlow's number for it; `UNKNOWN` for a number that has none."""
    return _CODES.get(number, Code.UNKNOWN)


invalid = partial(ServingError, Code.INVALID_ARGUMENT)
not_found = partial(ServingError, Code.NOT_FOUND)
precondition = partial(ServingError, Code.FAILED_PRECONDITION)
unavailable = partial(ServingError, Code.UNAVAILABLE)
exhausted = partial(ServingError, Code.RESOURCE_EXHAUSTED)
deadline = partial(ServingError, Code.DEADLINE_EXCEEDED)
unimplemented = partial(ServingError, Code.UNIMPLEMENTED)
internal = partial(ServingError, Code.INTERNAL)
