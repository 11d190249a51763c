"""A text that is printed as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.following import Decision, Follower


class TextFollower(Follower):
    """Pieces of a text, up to a stop string.

    Args:
        stop: where the text ends; empty for no such place.
    """

    running = True
    between = ""

    def __init__(self, stop: str = "") -> None:
        self._stop = stop
        self._held, self._ended = "", False

    def push(self, answer: Mapping[str, np.ndarray], end: Any) -> list[Decision]:
        if self._ended:
            return []
        self._held += np.asarray(answer["text"]).item().decode("utf-8", "replace")
        if self._stop and self._stop in self._held:
            self._ended = True
            return self._given(self._held.partition(self._stop)[0])
        # The beginning of a stop string may be the end of what has come so far.
        most = min(len(self._stop) - 1, len(self._held)) if self._stop else 0
        kept = next((n for n in range(most, 0, -1) if self._stop.startswith(self._held[-n:])), 0)
        ready = self._held[: len(self._held) - kept]
        self._held = self._held[len(ready) :]
        return self._given(ready)

    def finish(self) -> list[Decision]:
        return [] if self._ended else self._given(self._held)

    def _given(self, text: str) -> list[Decision]:
        return [Decision({"text": text}, text)] if text else []
