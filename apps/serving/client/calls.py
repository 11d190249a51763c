"""What a call is addressed to, and what it raises when it fails."""

from __future__ import annotations

from dataclasses import dataclass

from apps.errors import UserError


class CallError(Exception):
    """A call that the server refused or did not answer.

    Attributes:
        code: gRPC's name of the status, over REST too: `INVALID_ARGUMENT`, `NOT_FOUND`, ….
        message: what the server said, or what went wrong on the way.
        retryable: whether the same call may succeed later.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True)
class Target:
    """A model, and which of its versions: a number, a label, or the newest.

    Attributes:
        model: the name under which the server has it.
        version: a version number, or None.
        label: a version label, or None; not together with a number.
    """

    model: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not self.model:
            raise UserError("model: give the name under which the server has it")
        if self.version is not None and self.label is not None:
            raise UserError(f"{self.model}: give a version or a label, not both")

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.model} version {self.version}"
        return f"{self.model} '{self.label}'" if self.label is not None else self.model
