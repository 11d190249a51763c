"""What a training is asked for: parsed once, written into the run folder, compared on resuming."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from apps import catalogue
from apps.application import Application
from apps.data import Examples, read
from apps.data.fingerprint import fingerprint
from apps.errors import UserError
from apps.training.run_folder import RunFolder

# Gradients of a batch in pieces are those of the whole, so a run may go on in other pieces.
_MAY_CHANGE = frozenset({"accumulation_steps"})


class Plan:
    """An application with its settings, and the data that it is to learn from.

    Args:
        application: a name of the catalogue.
        data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
        validation: a source to choose by; a part of `data` is held out where it is None.
        columns: the application's column names to the source's, where they differ.
        seed: seeds weights, dropout, data order and splits.
        settings: hyperparameters by name; texts are read as their types.

    Attributes:
        kind: the application's class.
        config: its hyperparameters.

    Raises:
        UserError: application, settings or seed are none.
    """

    def __init__(
        self,
        application: str,
        data: Any = "sample",
        *,
        validation: Any = None,
        columns: Mapping[str, str] | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind: type[Application] = catalogue.load(application)
        self.config = self.kind.Config.from_values(settings or {})
        if not 0 <= seed < 2**31:
            raise UserError(f"seed={seed}: give a whole number from 0 to {2**31 - 1}")
        self.application, self.seed = application, seed
        self.data, self.validation = data, validation
        self.columns = dict(columns or {})

    def describe(self) -> dict[str, Any]:
        """What `config.json` says of the run, but for the fingerprint of its rows."""
        return {
            "application": self.application,
            "config": self.config.to_dict(),
            "data": {
                "train": _name(self.data),
                "validation": None if self.validation is None else _name(self.validation),
            },
            "columns": self.columns,
            "seed": self.seed,
        }

    def read(self) -> Examples:
        """The rows of `data`."""
        return self._read(self.data, self.seed)

    def read_validation(self) -> Examples:
        """The rows of `validation`."""
        return self._read(self.validation, self.seed + 1)

    def fingerprint(self, *rows: Examples) -> str:
        """Digest of the content of rows, by which a run knows its data again."""
        return fingerprint(*rows, columns=self.kind.columns())

    def _read(self, source: Any, seed: int) -> Examples:
        columns, sample = self.kind.columns(), self.kind.sample
        return read(source, columns, rename=self.columns, sample=sample, seed=seed)

    def require_same(self, folder: RunFolder, fingerprint: str | None = None) -> None:
        """Refuse to go on with other settings or other data than the run began with.

        Args:
            folder: of the run.
            fingerprint: of the rows, where they have been read.

        Raises:
            UserError: says what differs.
        """
        folder.require_started()
        before, about = folder.about(), self.describe()
        if fingerprint is not None and before["fingerprint"] != fingerprint:
            raise UserError(f"{folder.path}: was started with other data; resume with the same")
        for key in ("application", "seed", "columns"):
            if before[key] != about[key]:
                raise UserError(
                    f"{folder.path}: was started with {key} {before[key]!r}; resume with the same"
                )
        defaults = self.kind.Config.defaults()
        for key, value in about["config"].items():
            old = before["config"].get(key, defaults.get(key))
            if old != value and key not in _MAY_CHANGE:
                raise UserError(
                    f"{folder.path}: was started with {key}={old}, not {value}; "
                    "resume with the same settings"
                )


def _name(source: Any) -> str:
    return str(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"
