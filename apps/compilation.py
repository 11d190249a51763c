"""Small C and C++ sources of this package, compiled once on the user's machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

COMPILE_SECONDS = 120


class CompilationError(Exception):
    """Why something cannot be compiled here, in one line."""


def find_compiler(variable: str, names: Sequence[str]) -> str | None:
    """Path of the compiler that an environment variable names, or of the first one installed."""
    wanted = os.environ.get(variable)
    return next(filter(None, map(shutil.which, [wanted] if wanted else names)), None)


def compile_once(
    command: Sequence[str], stem: str, key: Callable[[], str], suffix: str = ""
) -> Path:
    """Compile into the user's cache, unless the same was compiled before.

    Args:
        command: the compiler and its arguments, without the output.
        stem: how the file's name begins.
        key: gives a text for the file's name that differs with everything the result depends on.
        suffix: how the file's name ends.

    Returns:
        The compiled file.

    Raises:
        CompilationError: there is no folder to write it to, or the compiler failed.
    """
    try:
        place = _cache() / f"{stem}-{key()}{suffix}"
        if place.exists():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        # Compiled beside its place and renamed into it: another process never sees half a file.
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            built = Path(folder) / place.name
            done = subprocess.run(
                [*command, "-o", built], capture_output=True, text=True, timeout=COMPILE_SECONDS
            )
            if done.returncode:
                raise CompilationError(
                    f"{command[0]} failed: {' '.join(done.stderr.split())[:300]}"
                )
            os.replace(built, place)
    except (OSError, subprocess.SubprocessError) as error:
        raise CompilationError(f"cannot be compiled: {error}") from error
    return place


def _cache() -> Path:
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:  # a container's user without a name
        raise CompilationError("no home folder to compile in; set XDG_CACHE_HOME") from error
    return Path(base) / "apps-lstm"
