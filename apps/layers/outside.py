"""What a client of an ONNX file does itself in place of a layer that ONNX cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Outside:
    """What stays outside an ONNX file, written down so that a program can carry it out.

    Attributes:
        words: it in words.
        files: texts of the files that it needs, by name.
        metadata: what the ONNX file says of it, by key.
    """

    words: str
    files: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Described(Protocol):
    """A layer that says what a client does in its place."""

    def outside(self) -> Outside | None:
        """What a client does in place of this layer; None where there is nothing to do."""
        ...
