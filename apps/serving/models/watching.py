"""Watching a folder: which versions are there, completely copied, and worth loading."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from apps.errors import UserError
from apps.serving.models.configuration import CONFIG_FILE, ModelSettings, read_models, versions_in

Fingerprint = tuple[tuple[str, int, int], ...]
_GRAPHS = ("saved_model.pb", "saved_model.pbtxt")


@dataclass(frozen=True)
class Sighting:
    """What a look found of one model.

    Attributes:
        settings: of the model.
        there: every version folder; `None` where the model's folder cannot be listed now.
        wanted: the versions that should be served, each whole and not refused, by number.
        deserted: whether the model's folder holds nothing that its settings ask for, whole or not.
    """

    settings: ModelSettings
    there: dict[int, Path] | None
    wanted: dict[int, Path]
    deserted: bool


# As TensorFlow Serving does: max_num_load_retries and load_retry_interval_micros.
MOST_TRIES = 6
AGAIN_S = 60.0


class Watcher:
    """Remembers from look to look what a folder held.

    A version that is being copied grows; it counts only once it has stayed the same from one look
    to the next. A refused version does not count until something in it changes, or for a while
    where the refusal may have been the host's fault.

    Args:
        folder: of all models, or of one.
        log: is told once of a configuration that cannot be read.
    """

    def __init__(self, folder: Path, log: Callable[[str], None]) -> None:
        self._folder = folder
        self._log = log
        self._models = read_models(folder)
        self._configured = (folder / CONFIG_FILE).is_file()
        self._complaint = ""
        self._seen: dict[Path, Fingerprint] = {}
        self._refused: dict[Path, Fingerprint] = {}
        self._tries: dict[Path, int] = {}
        self._again: dict[Path, float] = {}

    def look(self, loaded: Collection[tuple[str, int]]) -> dict[str, Sighting]:
        """Look once; blocks while files are listed.

        Args:
            loaded: the model and number of every version that is loaded or being loaded.

        Returns:
            A sighting of every model, by name.
        """
        self._read_models()
        for path in [path for path, at in self._again.items() if at <= time.monotonic()]:
            del self._again[path]
            self._refused.pop(path, None)
        seen: dict[Path, Fingerprint] = {}

        def usable(name: str, number: int, path: Path) -> bool:
            before = self._seen.get(path)
            if (name, number) in loaded:
                # Kept as it was when its load began, in case it is refused.
                seen[path] = before or ()
                return True
            now = fingerprint(path)
            if now is None:
                return False
            seen[path] = now
            return before == now != self._refused.get(path)

        sightings = {}
        for name, settings in self._models.items():
            there = versions_in(settings.base)
            wanted = settings.choose(there or {}, partial(usable, name))
            asked_for = settings.choose(there or {}, lambda number, path: True)
            deserted = there is not None and not asked_for
            sightings[name] = Sighting(settings, there, wanted, deserted)
        self._seen = seen
        for path in [path for path in list(self._refused) if not path.is_dir()]:
            self._refused.pop(path, None)
        return sightings

    def refuse(self, path: Path, *, transient: bool = False) -> None:
        """Leave a version alone until it differs from what it was when its load began.

        Args:
            path: the version.
            transient: try it again in a minute even if it is the same, a few times in all.
        """
        self._refused[path] = self._seen.get(path, ())
        tries = self._tries.get(path, 1)
        if transient and tries < MOST_TRIES:
            self._tries[path] = tries + 1
            self._again[path] = time.monotonic() + AGAIN_S

    def _read_models(self) -> None:
        there = (self._folder / CONFIG_FILE).is_file()
        try:
            if self._configured and not there:
                raise UserError(f"{self._folder / CONFIG_FILE} is gone; put it back")
            models = read_models(self._folder)
        except UserError as error:
            if str(error) != self._complaint:
                self._log(f"{error} (the models stay as they are)")
            self._complaint = str(error)
            return
        self._complaint = ""
        self._configured = there
        # A folder that has lost its last version is still that model's folder.
        self._models = models if there else self._models | models


def fingerprint(version: Path) -> Fingerprint | None:
    """Names, sizes and times of a version's files; `None` while it has no graph."""
    if not any((version / graph).is_file() for graph in _GRAPHS):
        return None
    try:
        return tuple(sorted(_files(version)))
    except OSError:
        return None


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path))
        else:
            found = entry.stat()
            yield entry.path, found.st_size, found.st_mtime_ns
