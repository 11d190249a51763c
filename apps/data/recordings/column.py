"""A column of recordings: the paths and arrays of a source, each decoded once into a clip."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from apps.data.files import explained
from apps.data.raw import RawColumn
from apps.data.recordings.clip import Clip, spooled
from apps.data.recordings.decoding import decode, decode_bytes
from apps.errors import UserError

# Common Voice and LJSpeech keep files in these folders without naming them in the paths.
_FOLDERS = ("", "clips", "wavs")
_RATE_KEYS = ("sampling_rate", "sample_rate", "rate")
_SHOWN = 5
_MOST_THREADS = 8
_SECONDS_WITHOUT_BAR = 3.0

_Job = Callable[[], Clip]


def is_recording(value: Any) -> bool:
    """Whether a value is one recording: a clip, a path, or samples with their rate."""
    if isinstance(value, Clip | os.PathLike | str | bytes):
        return True
    if isinstance(value, Mapping):
        return "bytes" in value or ("array" in value and any(key in value for key in _RATE_KEYS))
    return isinstance(value, tuple | list) and len(value) == 2 and np.ndim(value[0]) > 0


def read_clips(column: RawColumn) -> list[Clip | None]:
    """Decode a column; a file that several rows name is decoded once.

    Args:
        column: paths, clips, `(array, rate)`, the bytes of a file, dictionaries of `array` and
            `sampling_rate` or of `bytes`. Paths that are `str`, as manifests have them, start in
            the column's folder; a `Path` is taken as it is.

    Returns:
        A clip for each row, None where the value is missing.

    Raises:
        UserError: files are missing or cannot be decoded, or values are not recordings. All rows
            are checked, so that the message can say how many.
    """
    jobs: dict[Any, _Job] = {}
    keys: list[Any] = []
    missing: list[str] = []
    for row, (cell, place) in enumerate(zip(column.values, column.places, strict=True)):
        value = _plain(cell)
        if value is None:
            keys.append(None)
        elif isinstance(value, Clip) and value.count:
            keys.append(value)
        elif isinstance(value, str | Path):
            path = value if isinstance(value, Path) else _found(value, column.folder)
            keys.append(path)
            if path not in jobs:
                jobs[path] = partial(_decode_file, path)
                if not _exists(path):
                    missing.append(_at(str(value), place, column.source))
        else:
            keys.append(row)
            jobs[row] = partial(_clip_of, value, column.name)
    if missing:
        raise _missing(missing, len(jobs), column.source, column.folder)
    places = dict(zip(reversed(keys), reversed(column.places), strict=True))
    clips = _decoded(jobs, places)
    return [key if key is None or isinstance(key, Clip) else clips[key] for key in keys]


def _plain(value: Any) -> Any:
    """The value, or None where it is missing; paths become `str` or `Path`."""
    if hasattr(value, "numpy") and not isinstance(value, np.generic):
        value = value.numpy()
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()
    # A path has no zero byte; the header of a recording has some.
    if isinstance(value, bytes) and b"\0" not in value:
        value = os.fsdecode(value)
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, os.PathLike):
        return Path(value)
    absent = isinstance(value, float) and np.isnan(value)
    # Compared by name so that pandas need not be imported.
    return None if absent or type(value).__name__ in ("NAType", "NaTType") else value


def _found(text: str, folder: Path | None) -> Path:
    """The file that a cell names, in the manifest's folder or in one of its usual subfolders."""
    # File systems and manifests may compose letters and marks in different ways; Windows separates
    # folders with a backslash.
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    forms = dict.fromkeys((text, composed, decomposed, text.replace("\\", "/")))
    paths = [Path(os.path.expanduser(form)) for form in forms]
    candidates = [(folder or Path()) / below / path for path in paths for below in _FOLDERS]
    return next((file for file in candidates if _exists(file)), candidates[0])


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        # Opening it will say which permission is missing.
        return True
    except (OSError, ValueError):
        return False
    return True


def _decode_file(path: Path) -> Clip:
    with explained(path):
        return decode(path)


def _clip_of(value: Any, name: str) -> Clip:
    """A clip from samples or from a file's bytes in memory."""
    array, rate = value, None
    if isinstance(value, Clip):
        array, rate = value.samples, value.rate
    if isinstance(value, bytes):
        return decode_bytes(value)
    if isinstance(value, Mapping):
        if value.get("bytes") is not None:
            return decode_bytes(value["bytes"], str(value.get("path") or ""))
        array = value.get("array")
        rate = next((value[key] for key in _RATE_KEYS if key in value), None)
    elif isinstance(value, tuple | list) and is_recording(value):
        array, rate = value
    if array is None or not np.ndim(array):
        raise UserError(
            f"the {name} is of type {type(value).__name__}, not a recording; "
            "give a path, or (array, rate in Hz)"
        )
    if rate is None:
        raise UserError(f"the {name} is an array that has no sample rate; give (array, rate in Hz)")
    clip = Clip.of(array, rate)
    if not len(clip.samples):
        raise UserError(f"the {name} has no samples; record it again, or remove the row")
    return clip


def _decoded(jobs: Mapping[Any, _Job], places: Mapping[Any, str]) -> dict[Any, Clip]:
    """The clips of all jobs by key; failures are reported once all jobs have been tried."""
    failed: dict[Any, UserError] = {}
    done: list[Any] = []

    def clips() -> Iterator[Clip]:
        results = zip(jobs, _in_threads(jobs.values()), strict=True)
        with tqdm(
            results,
            total=len(jobs),
            desc="reading audio",
            unit="file",
            file=sys.stderr,
            delay=_SECONDS_WITHOUT_BAR,
            mininterval=0.5 if sys.stderr.isatty() else 20.0,
            dynamic_ncols=True,
            leave=False,
        ) as bar:
            for key, result in bar:
                if isinstance(result, UserError):
                    failed[key] = result
                elif not failed:
                    done.append(key)
                    yield result

    found = spooled(clips())
    if failed:
        first, *others = failed
        place, message = places[first], str(failed[first])
        more = ", ".join(str(places[key]) for key in others[:_SHOWN])
        more += ", …" if len(others) > _SHOWN else ""
        raise UserError(
            (message if message.startswith(place) else f"{place}: {message}")
            + (f"; {len(others)} more of {len(jobs)} cannot be read: {more}" if others else "")
        )
    return dict(zip(done, found, strict=True))


def _in_threads(jobs: Iterable[_Job]) -> Iterator[Clip | UserError]:
    """Results in the order of the jobs, a few at a time; libsndfile releases the GIL."""
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[Clip | UserError]] = deque()
    with ThreadPoolExecutor(threads, "audio") as pool:
        for job in jobs:
            waiting.append(pool.submit(_attempt, job))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _attempt(job: _Job) -> Clip | UserError:
    try:
        return job()
    except UserError as error:
        return error


def _at(path: str, place: str, source: str) -> str:
    """A path with its row, for a list."""
    return path if place == path else f"{path} ({place.removeprefix(f'{source} ')})"


def _missing(paths: Sequence[str], total: int, source: str, folder: Path | None) -> UserError:
    shown = ", ".join(paths[:_SHOWN]) + (", …" if len(paths) > _SHOWN else "")
    where = "" if folder is None else f" relative ones are looked for in {folder};"
    return UserError(
        f"{source}: {len(paths)} of {total} audio files do not exist: {shown};{where} "
        "correct the paths, or remove the rows"
    )
