"""How much memory there is for a trial, and whether the kernel has killed processes for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
# Limit, usage, and counters of the page cache, which can be reclaimed; control groups 2, then 1.
_FILES = (
    ("memory.max", "memory.current", ("active_file", "inactive_file")),
    (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_active_file", "total_inactive_file"),
    ),
)


def available_mb() -> float:
    """Memory that the machine or the container still leaves, in 2^20 bytes."""
    free = [psutil.virtual_memory().available, *_left_in_groups()]
    return min(free) / 2**20


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started.

    Those in containers count too; 0 where the kernel does not tell.
    """
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


def _left_in_groups() -> Iterator[int]:
    """Bytes that each control group above this process still leaves, where it sets a limit."""
    try:
        lines = _MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = _GROUPS / controllers
        group = root / path.lstrip("/")
        while group.is_relative_to(root):
            for limit, usage, cache in _FILES:
                left = _left(group, limit, usage, cache)
                if left is not None:
                    yield left
            group = group.parent


def _left(group: Path, limit: str, usage: str, cache: tuple[str, ...]) -> int | None:
    try:
        allowed = (group / limit).read_text().strip()
        if allowed == "max":
            return None
        counters = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        taken = int((group / usage).read_text()) - sum(int(counters.get(key, 0)) for key in cache)
        return max(int(allowed) - taken, 0)
    except (OSError, ValueError):
        return None
