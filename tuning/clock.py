"""The seconds that a search has taken, over all its sessions."""

from __future__ import annotations

import time


class Clock:
    """Counts from its construction on; `earlier` is what earlier sessions took."""

    def __init__(self) -> None:
        self.earlier = 0.0
        self._began = time.monotonic()

    def elapsed(self) -> float:
        """Seconds that the search has taken, pauses between sessions left out."""
        return self.earlier + time.monotonic() - self._began
