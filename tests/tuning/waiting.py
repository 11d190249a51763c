"""Waits for what a test awaits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# Bounds a hang and nothing else: no test depends on how long a thing takes.
LIMIT = 120.0


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found
