"""The states of a version, as TensorFlow Serving has them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import grpc


class State(StrEnum):
    """A version's states, under the names that TensorFlow Serving gives them."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


@dataclass(frozen=True)
class VersionStatus:
    """A version's state, and its error where it was refused.

    Attributes:
        version: the version's number.
        state: where it stands.
        error_code: `OK`, or why it was refused.
        error_message: one line, "" where there is none.
    """

    version: int
    state: State
    error_code: grpc.StatusCode = grpc.StatusCode.OK
    error_message: str = ""
