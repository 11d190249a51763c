"""The service `tuning.Search`: its methods, and what chief and workers must have in common.

Every message is one JSON object, so that floats keep all digits and reasons their words.

    Describe {}                              → settings, versions
    Next     {worker, turn}                  → job | wait | over
    Beat     {worker, turn, trial, progress} → yours
    Report   {worker, trial, outcome}        → {}
    Release  {worker}                        → {}
    Gather   {worker, turn, trial}           → yours, joined
    Follow   {worker, task, turn}            → over, turn, job

A turn is a name that a worker makes up anew whenever it asks for a trial. Where several tasks train
one trial, the others follow by that name: they ask for it with an empty turn and join with its name
when nothing else runs in them any more; the worker waits until all have joined.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from pathlib import Path

SERVICE = "tuning.Search"
_LIBRARIES = ("tensorflow", "keras")
_CODE = {".py", ".c", ".cc", ".h"}


@functools.cache
def versions() -> dict[str, str]:
    """What must be the same everywhere for a trial to mean the same, by name."""
    installed = {name: metadata.version(name) for name in _LIBRARIES}
    return {**installed, "code": digest_of_code()}


def digest_of_code() -> str:
    """Twelve hexadecimal digits that any changed line of the packages changes."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    files = (file for package in ("apps", "tuning") for file in (root / package).rglob("*.*"))
    for file in sorted(file for file in files if file.suffix in _CODE):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
