"""Work in several threads, its results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def in_threads(work: Callable[[_Given], _Made], items: Iterable[_Given]) -> Iterator[_Made]:
    """What is made of each item, in their order, a few items ahead.

    It is faster where the work releases Python's lock, as products and kernels do.
    """
    threads = os.cpu_count() or 1
    waiting: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
