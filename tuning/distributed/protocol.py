"""The service `tuning.Search`: its methods, and what chief and workers must have in common.

Every message is one JSON object, so that floats keep all digits and reasons their words.

    Describe {}                              → settings, versions
    Next     {worker, turn}                  → job | wait | over
    Beat     {worker, turn, trial, progress} → yours, joined
    Report   {worker, trial, outcome}        → {}
    Release  {worker}                        → {}
    Follow   {worker, task, turn}            → over, turn, job

A worker makes up a new name, the turn, whenever it asks for a trial. Where several tasks train one
trial, the others learn that name by asking with an empty turn, and join by sending it once nothing
else runs in them. The worker begins when its beats are answered with all of them joined.

KerasTuner's own service stands beside this one (`keras_tuner_service`), and neither can replace the
other. Workers written with KerasTuner alone speak only its own. But its messages round scores to 32
bits, and have no place for the reason of a failure, for signs of life during an epoch, for giving a
trial back, for the checkpoint that a trial goes on from, or for tasks that train together. Resuming
to the last bit needs all of these.
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
    """The versions that chief and workers must have in common, by name."""
    installed = {name: metadata.version(name) for name in _LIBRARIES}
    return {**installed, "code": digest_of_code()}


def digest_of_code() -> str:
    """Twelve hexadecimal digits that change with any line of the packages."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    files = (file for package in ("apps", "tuning") for file in (root / package).rglob("*.*"))
    for file in sorted(file for file in files if file.suffix in _CODE):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
