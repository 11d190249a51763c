"""Asking the gate whether a new version may be served, beside requests that are being answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from apps.export.gate import verify


class Passed(Protocol):
    """What a gate says of a version."""

    @property
    def passed(self) -> bool:
        """Whether the version may be served."""

    @property
    def refusal(self) -> str | None:
        """One line that says why not."""

    @property
    def transient(self) -> bool:
        """Whether the same version might pass at another time."""


Gate = Callable[[Path], Passed]


def quiet_gate(version: Path) -> Passed:
    """The export's gate, at low priority beside a server that answers requests."""
    return verify(version, low_priority=True)


async def ask(gate: Gate, version: Path) -> Passed:
    """What a gate says of a version.

    The gate runs in a thread of its own that cannot hold up the end of the process, as a pool's
    thread would.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Passed] = loop.create_future()

    def deliver(verdict: Passed | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        elif verdict is not None:
            done.set_result(verdict)

    def run() -> None:
        verdict, error = None, None
        try:
            verdict = gate(version)
        except Exception as failure:
            error = failure
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, verdict, error)

    threading.Thread(target=run, name="gate", daemon=True).start()
    return await done
