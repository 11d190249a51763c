"""The folder of a search: its files, and the lock that lets only one process search in it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from apps import strict_json
from apps.atomic import write_atomically
from apps.data import Examples
from apps.errors import UserError
from tuning.settings import SearchSettings

SETTINGS, STATE, RESULT, LOCK = "search.json", "oracle.json", "result.json", ".lock"
SOURCES = ("data", "validation", "test")
FORMAT = 1


class SearchFolder:
    """Paths and atomic writes of one search.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Trials run in processes whose working directory may differ.
        self.path = Path(path).absolute()
        self.settings = self.path / SETTINGS
        self.state = self.path / STATE
        self.result = self.path / RESULT
        self.final = self.path / "final"
        self.page = self.path / "tuning.html"
        self.tensorboard = self.path / "tensorboard"
        self._lock: int | None = None

    def trial(self, name: str) -> Path:
        """The folder of a trial."""
        return self.path / f"trial_{name}"

    def run(self, name: str) -> Path:
        """The run folder of a trial."""
        return self.trial(name) / "run"

    def begun(self) -> bool:
        """Whether a search has begun here."""
        return self.settings.is_file()

    def require_new(self) -> None:
        """Raise UserError unless a search can begin here.

        A search that was killed before it had begun leaves files that do not count.
        """
        if self.begun():
            raise UserError(
                f"{self.path}: holds a search; continue it with --resume, or name another folder"
            )
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; name a folder with --run")
        known = {LOCK, *(self.rows_of(name).name for name in SOURCES)}
        if self.path.is_dir() and any(
            entry.name not in known and not entry.name.startswith(".partial-")
            for entry in self.path.iterdir()
        ):
            raise UserError(
                f"{self.path}: exists and is not an empty folder; name another one with --run"
            )

    def create(self, settings: SearchSettings, rows: Mapping[str, Examples]) -> None:
        """Make and lock the folder of a new search; `search.json` is written last.

        Args:
            settings: what the search is asked for.
            rows: examples from memory, by the name of their source.
        """
        self.require_new()
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock()
        self.require_new()
        for name, examples in rows.items():
            self._keep(self.rows_of(name), examples, settings.columns)
        self.write_json(self.settings, settings.to_dict())

    def _keep(self, file: Path, examples: Examples, columns: Mapping[str, str]) -> None:
        """Write rows from memory to a file, under the user's own names of the columns."""
        names = {name: columns.get(name, name) for name in examples.columns}
        lines = []
        for number, place in enumerate(examples.places):
            row = {other: examples[name][number] for name, other in names.items()}
            try:
                lines.append(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            except TypeError as error:
                raise UserError(f"{place}: {error}; give the data as a file") from None
        write_atomically(file, lambda stream: stream.writelines(lines))

    def rows_of(self, source: str) -> Path:
        """The file that keeps the rows of a source that was given in memory."""
        return self.path / f"{source}.jsonl"

    def lock(self) -> None:
        """Keep other processes from searching here while this one lives.

        Raises:
            UserError: another process searches here.
        """
        handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise UserError(
                f"{self.path}: another search runs in this folder; wait for it, or name another "
                "folder with --run"
            ) from None
        self._lock = handle

    def unlock(self) -> None:
        """Let others search here."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write_json(self, file: Path, value: Mapping[str, Any]) -> None:
        """Write a JSON object in one step."""
        text = strict_json.dumps(value, indent=2)
        write_atomically(file, lambda stream: stream.write(text.encode() + b"\n"))


def new_search_folder(application: str) -> Path:
    """An unused path under `searches/`, named after application and time."""
    stem = Path("searches") / f"{application}-{datetime.now():%Y%m%d-%H%M%S}"
    path, number = stem, 2
    while path.exists():
        path, number = stem.with_name(f"{stem.name}-{number}"), number + 1
    return path


def read_settings(folder: Path) -> SearchSettings:
    """What the search in a folder was asked for.

    Raises:
        UserError: there is no search, or its file is damaged.
    """
    file = folder / SETTINGS
    if not file.is_file():
        raise UserError(f"{folder}: holds no search (no {SETTINGS}); name one that was begun")
    try:
        return SearchSettings.from_dict(read_json(file))
    except TypeError as error:
        raise UserError(damaged(file, str(error))) from None


def read_state(folder: Path) -> dict[str, Any]:
    """The state that an oracle has written.

    Raises:
        UserError: it is missing or damaged.
    """
    state = read_json(folder / STATE)
    if state.get("format") != FORMAT:
        raise UserError(damaged(folder / STATE, "not of this version"))
    return state


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object of the search.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: missing; search anew in another folder") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(damaged(file, str(error))) from None
    if not isinstance(value, dict):
        raise UserError(damaged(file, "not an object"))
    return value


def damaged(file: Path, why: str) -> str:
    """The message about a file that cannot be used."""
    return f"{file}: damaged ({why}); put a copy of it back, or search anew in another folder"
