"""What a request can fail with: a gRPC status code and a message, as TensorFlow Serving answers."""

from __future__ import annotations

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


def invalid(message: str) -> ServingError:
    """The request is wrong whatever the server's state."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """There is no such model or version."""
    return ServingError(Code.NOT_FOUND, message)


def precondition(message: str) -> ServingError:
    """The model as it is cannot answer such a request."""
    return ServingError(Code.FAILED_PRECONDITION, message)


def unavailable(message: str) -> ServingError:
    """The server cannot take the request now; the same request may pass later."""
    return ServingError(Code.UNAVAILABLE, message)


def exhausted(message: str) -> ServingError:
    """The request is over a limit of the server."""
    return ServingError(Code.RESOURCE_EXHAUSTED, message)


def deadline(message: str) -> ServingError:
    """The request's time was over before its answer was there."""
    return ServingError(Code.DEADLINE_EXCEEDED, message)


def unimplemented(message: str) -> ServingError:
    """The server does not offer what the request asks for."""
    return ServingError(Code.UNIMPLEMENTED, message)


def internal(message: str) -> ServingError:
    """The server is at fault."""
    return ServingError(Code.INTERNAL, message)
