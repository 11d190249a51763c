"""The run folder: its files, written beside and renamed, and what makes a folder a run."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps import strict_json
from apps.atomic import PARTIAL, write_atomically
from apps.components import ASSETS
from apps.errors import UserError

if TYPE_CHECKING:
    import keras

# The file of a folder that holds a run for each series.
EACH = "each.json"
_ABOUT = ("application", "config", "columns", "seed", "fingerprint")


class RunFolder:
    """Paths and atomic writes of one run.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.json"
        self.history = self.path / "history.csv"
        self.model = self.path / "model.keras"
        self.checkpoints = self.path / "checkpoints"
        self.baselines = self.path / "baselines"
        self.predictions = self.path / "predictions.jsonl"
        self.golden = self.path / "golden.npz"
        self.assets = self.path / ASSETS
        self.environment = self.path / "environment.json"
        self.report = self.path / "report.html"

    def unbegun(self) -> bool:
        """Whether there is no folder, or no more in it than `create` leaves when it is killed."""
        if not self.path.is_dir():
            return not self.path.exists()
        known = {self.checkpoints.name, self.baselines.name, self.environment.name}
        return all(
            entry.name in known or entry.name.startswith(PARTIAL) for entry in self.path.iterdir()
        )

    def create(self, about: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Make the folder for a run that starts; `config.json`, which makes it a run, comes last.

        Args:
            about: for `config.json`.
            environment: for `environment.json`.

        Raises:
            UserError: something is there already.
            OSError: it cannot be written; nothing is left of it.
        """
        if self.config.exists():
            raise UserError(
                f"{self.path}: holds a run; continue it with --resume, or name another folder"
            )
        if not self.unbegun():
            raise UserError(
                f"{self.path}: exists and is not an empty folder; name another one with --run"
            )
        ours = not self.path.exists()
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.baselines.mkdir(exist_ok=True)
            self.write_json(self.environment, environment)
            self.write_json(self.config, about)
        except OSError:
            for file in (self.environment, self.config):
                if file.is_file():
                    file.unlink()
            for folder in (self.checkpoints, self.baselines, *([self.path] if ours else [])):
                if folder.is_dir():
                    folder.rmdir()
            raise

    def sweep(self) -> None:
        """Remove files that were half-written when an earlier session was killed."""
        for file in self.path.rglob(f"{PARTIAL}*"):
            file.unlink(missing_ok=True)

    def about(self) -> dict[str, Any]:
        """What the run was started with.

        Raises:
            UserError: `config.json` is not one that `create` has written.
        """
        about = self.read_json(self.config)
        lacking = [key for key in _ABOUT if key not in about]
        if lacking:
            raise UserError(
                f"{self.config}: not of a run (no '{lacking[0]}'); name a folder that `train` "
                "has written"
            )
        return about

    def require_started(self) -> None:
        """Raise UserError unless the folder belongs to a run."""
        if not self.path.exists():
            raise UserError(f"{self.path}: no such run folder; name one that `train` has written")
        if not self.config.is_file():
            if (self.path / EACH).is_file():
                child = next((one.name for one in self.path.iterdir() if one.is_dir()), "NAME")
                raise UserError(
                    f"{self.path}: holds a run for each series; name one of them, such as "
                    f"{self.path / child}"
                )
            raise UserError(
                f"{self.path}: not a run folder (no config.json); name one that `train` has written"
            )

    def require_finished(self) -> None:
        """Raise UserError unless the run's training came to its end."""
        self.require_started()
        application = self.about()["application"]
        for file in (self.model, self.metrics):
            if not file.is_file():
                raise UserError(
                    f"{self.path}: training has not finished (no {file.name}); finish it with "
                    f"`python -m apps train {application} --run {self.path} --resume`"
                )

    def read_json(self, file: Path) -> dict[str, Any]:
        """A JSON object of the run.

        Raises:
            UserError: the file is missing or damaged.
        """
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(value, dict):
                raise ValueError("not an object")
            return value
        except FileNotFoundError:
            raise UserError(f"{file}: missing; the run is incomplete, train it again") from None
        except (ValueError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: damaged ({error}); train the run again") from None

    def write_json(self, file: Path, value: Mapping[str, Any]) -> None:
        """Write a JSON object in one step."""
        text = strict_json.dumps(value, indent=2)
        write_atomically(file, lambda stream: stream.write(text.encode() + b"\n"))

    def write_rows(self, file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write one JSON object a line in one step."""
        lines = [strict_json.dumps(row).encode() + b"\n" for row in rows]
        write_atomically(file, lambda stream: stream.writelines(lines))

    def write_history(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write `history.csv`, one row an epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(
            text, list(history[0]) if history else ["epoch"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(history)
        write_atomically(self.history, lambda stream: stream.write(text.getvalue().encode()))

    def write_arrays(self, file: Path, arrays: Mapping[str, np.ndarray]) -> None:
        """Write arrays as `.npz` in one step."""
        write_atomically(file, lambda stream: np.savez(stream, allow_pickle=False, **arrays))

    def write_model(self, model: keras.Model) -> None:
        """Write a model in Keras's own format in one step."""
        beside = self.model.with_name(f"{PARTIAL}{os.getpid()}.{self.model.name}")
        try:
            model.save(beside)
            with beside.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(beside, self.model)
        except OSError as error:
            error.filename = error.filename or os.fspath(self.model)
            raise
        finally:
            beside.unlink(missing_ok=True)

    def read_arrays(self, file: Path) -> dict[str, np.ndarray]:
        """The arrays of an `.npz` file; pickled objects are refused."""
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{file}: cannot be read ({error}); train the run again") from None


def new_run_folder(application: str) -> Path:
    """A path under `runs/` named after the application and the time, not in use."""
    stem = Path("runs") / f"{application}-{datetime.now():%Y%m%d-%H%M%S}"
    names = itertools.chain(
        [stem], (stem.with_name(f"{stem.name}-{n}") for n in itertools.count(2))
    )
    return next(path for path in names if not path.exists())
