"""Files that the cells of a column name: finding them, reading each once, telling what is wrong."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from apps.errors import UserError
from apps.threads import in_threads

SHOWN = 5
_SECONDS_WITHOUT_BAR = 3.0

_Key = TypeVar("_Key")
_Made = TypeVar("_Made")


def value_of(cell: Any) -> Any:
    """The value of a cell, or None where it is missing; paths become `str` or `Path`."""
    if hasattr(cell, "numpy") and not isinstance(cell, np.generic):
        cell = cell.numpy()
    if isinstance(cell, np.ndarray | np.generic) and cell.ndim == 0:
        cell = cell.item()
    # A path has no zero byte; the header of a recording has some.
    if isinstance(cell, bytes) and b"\0" not in cell:
        cell = os.fsdecode(cell)
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, os.PathLike):
        return Path(cell)
    absent = isinstance(cell, float) and np.isnan(cell)
    # Compared by name so that pandas need not be imported.
    return None if absent or type(cell).__name__ in ("NAType", "NaTType") else cell


def find(text: str, folder: Path | None, below: Sequence[str] = ("",)) -> Path:
    """The file that a cell names, in the manifest's folder or in one of its usual subfolders.

    Args:
        text: the cell.
        folder: where relative paths start; the process's own folder if None.
        below: the subfolders, the first of which is named where the file is in none.
    """
    # File systems and manifests may compose letters and marks in different ways; Windows separates
    # folders with a backslash.
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    forms = dict.fromkeys((text, composed, decomposed, text.replace("\\", "/")))
    paths = [Path(os.path.expanduser(form)) for form in forms]
    candidates = [(folder or Path()) / part / path for path in paths for part in below]
    return next((file for file in candidates if exists(file)), candidates[0])


def exists(path: Path) -> bool:
    """Whether a file is there, be it that it may not be read."""
    try:
        path.stat()
    except PermissionError:
        # Opening it will say which permission is missing.
        return True
    except (OSError, ValueError):
        return False
    return True


def attempted(
    jobs: Mapping[_Key, Callable[[], _Made]], called: str
) -> Iterator[tuple[_Key, _Made | UserError]]:
    """What each job makes, or why it failed, in their order; several run at once, under a bar.

    Args:
        jobs: by any key.
        called: what is being read, for the bar.
    """
    with tqdm(
        zip(jobs, in_threads(_attempt, jobs.values()), strict=True),
        total=len(jobs),
        desc=f"reading {called}",
        unit="file",
        file=sys.stderr,
        delay=_SECONDS_WITHOUT_BAR,
        mininterval=0.5 if sys.stderr.isatty() else 20.0,
        dynamic_ncols=True,
        leave=False,
    ) as bar:
        yield from bar


def _attempt(job: Callable[[], _Made]) -> _Made | UserError:
    try:
        return job()
    except UserError as error:
        return error


def failure(failed: Mapping[_Key, UserError], places: Mapping[_Key, str], total: int) -> UserError:
    """The error for jobs that failed: the first one's, and where the others stand.

    Args:
        failed: at least one error by key.
        places: where each key stands.
        total: number of jobs.
    """
    first, *others = failed
    place, message = places[first], str(failed[first])
    more = ", ".join(places[key] for key in others[:SHOWN])
    more += ", …" if len(others) > SHOWN else ""
    return UserError(
        (message if message.startswith(place) else f"{place}: {message}")
        + (f"; {len(others)} more of {total} cannot be read: {more}" if others else "")
    )


def named(path: str, place: str, source: str) -> str:
    """A path with its row, for a list."""
    return path if place == path else f"{path} ({place.removeprefix(f'{source} ')})"


def missing(
    paths: Sequence[str], total: int, source: str, folder: Path | None, called: str
) -> UserError:
    """The error for files that do not exist.

    Args:
        paths: as `named` gives them.
        total: how many files are named.
        source: what names them.
        folder: where relative paths start.
        called: what they are: "audio files".
    """
    shown = ", ".join(paths[:SHOWN]) + (", …" if len(paths) > SHOWN else "")
    where = "" if folder is None else f" relative ones are looked for in {folder};"
    return UserError(
        f"{source}: {len(paths)} of {total} {called} do not exist: {shown};{where} "
        "correct the paths, or remove the rows"
    )
