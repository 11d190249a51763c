"""The parts of a stream: chunks, which an input cuts, and decisions, which a task draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np


class Chunk(NamedTuple):
    """The next piece of one stream.

    Attributes:
        arrays: what `step` takes besides the states, by name, `(1, …)`; chunks of equal shape spare
            the graph a new trace.
        end: where the stream stands after it: seconds, or the time stated in its last row.
        begins: whether the states start anew before it, as behind a gap.
    """

    arrays: Mapping[str, np.ndarray]
    end: Any
    begins: bool = False


class Decision(NamedTuple):
    """One decision, as it is printed.

    Attributes:
        fields: a JSON object.
        text: the same for a person; empty where only the JSON output shows it.
    """

    fields: dict[str, Any]
    text: str


class Annotator(ABC):
    """Draws decisions onto a copy of the stream's source."""

    @abstractmethod
    def add(self, decision: Decision) -> None:
        """Take the next decision."""

    @abstractmethod
    def finish(self) -> None:
        """Write the copy, as the stream ends."""


class Follower(ABC):
    """Draws decisions from the answers to one stream.

    Attributes:
        running: whether decisions are words of one running text; if not, each gets its own line.
        between: what parts the words of a running text; nothing where they bring it along.
        undecided: what is not decided yet, for a terminal: a line, or the rest of the running text.
    """

    running: ClassVar[bool] = False
    between: ClassVar[str] = " "
    undecided: str = ""

    @abstractmethod
    def push(self, answer: Mapping[str, np.ndarray], end: Any) -> list[Decision]:
        """Take the answer to a chunk.

        Args:
            answer: what `step` gives, by name, without the axis of the batch and without states.
            end: where the stream stands after the chunk.

        Returns:
            The decisions that follow from it, in order of time.
        """

    def finish(self) -> list[Decision]:
        """The decisions that follow from the end of the stream."""
        return []
