"""Ends a process as `kill -9` would, at a moment that is the same every time."""

from __future__ import annotations

import functools
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any


def kill_before(owner: Any, name: str, calls: int = 1) -> None:
    """Make the given call of a method the last moment of this process."""
    original: Callable[..., Any] = getattr(owner, name)
    count = 0

    @functools.wraps(original)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        nonlocal count
        count += 1
        if count == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)

    setattr(owner, name, wrapper)


def require_killed(moment: str, act: Callable[[], object]) -> None:
    """Do something in a child of this process, which must be killed meanwhile.

    TensorFlow may be imported here, which takes seconds, but no operation may have run: its threads
    are not in the child.

    Args:
        moment: when the child is to be killed, for the message.
        act: what it does.

    Raises:
        SystemExit: it ended in another way.
    """
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise SystemExit(f"{moment}: the process ended with status {status}")
