"""Ctrl-C between two steps rather than within one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def interrupt_between_steps() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C wait for the step under way; a second one ends at once.

    Raised in the middle of a step it would leave weights that belong to no position. Where the
    process ignores or handles the signal already, that is left as it is.

    Yields:
        A function that tells whether there was a Ctrl-C.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    own = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if own:
        signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        if own:
            signal.signal(signal.SIGINT, signal.default_int_handler)
