"""Whose fault an error of a trial is, and its one line."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from apps.errors import UserError

REASON = 300
_MEMORY = re.compile(
    r"OOM when allocating|out of memory|OUT_OF_MEMORY|failed to allocate|bad_alloc", re.IGNORECASE
)
_PARTED = re.compile(r"collective|coordination service|UNAVAILABLE", re.IGNORECASE)
_DISK = re.compile(r"No space left on device|Disk quota exceeded")


def full_disk(error: BaseException) -> BaseException | None:
    """The error that tells of a full disk, among an error and its causes."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return cause
        if _DISK.search(str(cause)):
            return cause
    return None


def out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the accelerator ran out of memory."""
    return any(
        isinstance(cause, MemoryError) or _MEMORY.search(str(cause)) for cause in _causes(error)
    )


def lost_another(error: BaseException) -> bool:
    """Whether another process of the same training is gone."""
    import tensorflow as tf

    kinds = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
    return any(isinstance(cause, kinds) or _PARTED.search(str(cause)) for cause in _causes(error))


def one_line(error: BaseException) -> str:
    """Type and message; only the message where the user can mend it."""
    message = " ".join(str(error).split())
    if isinstance(error, UserError):
        return message[:REASON]
    return f"{type(error).__name__}: {message}"[:REASON].removesuffix(": ")


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
