"""What a stream is made of: chunks that an input cuts, decisions that a task draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np


class Chunk(NamedTuple):
    """The next piece of one stream.

    Attributes:
        arrays: what `step` takes beside states, by name, `(1, …)`; chunks of one shape spare the
            graph a tracing for each.
        end: where the stream is behind it: seconds, or the time that its last row states.
    """

    arrays: Mapping[str, np.ndarray]
    end: Any


class Decision(NamedTuple):
    """What is printed of a stream.

    Attributes:
        fields: a JSON object.
        text: the same for a person; empty where only JSON tells it.
    """

    fields: dict[str, Any]
    text: str


class Follower(ABC):
    """Draws decisions from the answers to one stream.

    Attributes:
        running: whether decisions are words of one running text; each is a line where it is not.
        undecided: what a terminal may show meanwhile: a line, or the rest of the running text.
    """

    running: ClassVar[bool] = False
    undecided: str = ""

    @abstractmethod
    def push(self, answer: Mapping[str, np.ndarray], end: Any) -> list[Decision]:
        """Take the answer to a chunk.

        Args:
            answer: what `step` gives, by name, without the axis of the batch and without states.
            end: where the stream is behind the chunk.

        Returns:
            What it decides, in the order of time.
        """

    def finish(self) -> list[Decision]:
        """What the end of the stream decides."""
        return []
