"""What is learnt from rows before training, kept for other trainings on the same rows."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from apps.atomic import write_atomically
from apps.data.content import feed
from apps.data.fingerprint import framed

# More is sooner made again than kept for every seed of a search.
_MOST_BYTES = 256 << 20

_folder: Path | None = None


def keep_in(folder: Path | None) -> None:
    """Have this process keep what it learns in a folder that other trainings also use.

    Args:
        folder: made when it is needed; None to keep nothing.
    """
    global _folder
    _folder = folder


def kept(learn: Callable[[], dict[str, np.ndarray]], *given: Any) -> dict[str, np.ndarray]:
    """What a function learns, from the folder if another training has left it there.

    Args:
        learn: gives arrays that depend on `given` alone; none of objects.
        *given: plain values, arrays, and lists and mappings of such; the first one names what is
            learnt.
    """
    if _folder is None:
        return learn()
    digest = hashlib.sha256()
    feed(given, framed(digest))
    file = _folder / f"{digest.hexdigest()[:32]}.npz"
    # numpy and zipfile raise whatever a missing file or a damaged byte leads them to.
    with contextlib.suppress(Exception), np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
    found = learn()
    if sum(array.nbytes for array in found.values()) <= _MOST_BYTES:
        # Where it cannot be kept, the next training learns it itself.
        with contextlib.suppress(OSError):
            _folder.mkdir(exist_ok=True)
            write_atomically(file, lambda stream: np.savez(stream, allow_pickle=False, **found))
    return found
