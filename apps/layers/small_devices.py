"""Whether a graph is traced for small devices, which have single precision only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_small: ContextVar[bool] = ContextVar("small", default=False)


@contextlib.contextmanager
def for_small_devices() -> Iterator[None]:
    """Trace with operations that such a device has: no double precision, few constants."""
    before = _small.set(True)
    try:
        yield
    finally:
        _small.reset(before)


def on_small_devices() -> bool:
    """Whether what is being traced will run there."""
    return _small.get()
