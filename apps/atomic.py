"""Files written beside their place and renamed into it: a reader sees a whole file or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

PARTIAL = ".partial-"


def write_atomically(file: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place, flush it to disk, and rename it into place.

    Args:
        file: its folder must exist.
        write: called with the open file.

    Raises:
        OSError: it cannot be written; `filename` names the file.
    """
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f"{PARTIAL}{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, file)
    except BaseException as error:
        Path(beside).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = os.fspath(file)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
