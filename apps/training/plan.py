"""What a training is asked for: parsed once, written into the run folder, compared on resuming."""

from __future__ import annotations

import copy
import dataclasses
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
        since, until: which rows of `data` count, where they stand in the order of time.
        labels: a file with the labels of `data` and `validation`, of sensors.

    Attributes:
        kind: the application's class.
        config: its hyperparameters.
        chosen: those of them that were chosen from the data.

    Raises:
        UserError: application, settings or seed are none.
    """

    chosen: Mapping[str, Any]

    def __init__(
        self,
        application: str,
        data: Any = "sample",
        *,
        validation: Any = None,
        columns: Mapping[str, str] | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        since: str | None = None,
        until: str | None = None,
        labels: str | os.PathLike[str] | None = None,
    ) -> None:
        self.kind: type[Application] = catalogue.load(application)
        self._given = dict(settings or {})
        self.config, self.chosen = self.kind.Config.from_values(self._given), {}
        if not 0 <= seed < 2**31:
            raise UserError(f"seed={seed}: give a whole number from 0 to {2**31 - 1}")
        self.application, self.seed = application, seed
        self.data, self.validation = data, validation
        self._since, self._until, self._labels = since, until, labels
        self.columns = dict(columns or {})

    @property
    def trains_each(self) -> bool:
        """Whether each series gets a run of its own."""
        return self.kind(self.config, self.seed).input.trains_each

    def for_one(self) -> dict[str, Any]:
        """The settings that were given, for the run of one series."""
        return {**self._given, **self.kind.input.for_one}

    def choosing(self, settings: Mapping[str, Any]) -> Plan:
        """This plan with settings that are chosen from the data, where the user has not given them.

        Args:
            settings: hyperparameters by name.
        """
        ranges = self.kind.Config.ranges()
        # A width for each layer, say, also gives the number of layers.
        given = {*self._given, *(ranges[key].per for key in self._given)}
        chosen = {**self.chosen, **{k: v for k, v in settings.items() if k not in given}}
        other = copy.copy(self)
        other.config, other.chosen = dataclasses.replace(self.config, **chosen), chosen
        return other

    def begun_with(self, config: Mapping[str, Any]) -> Plan:
        """This plan with the settings of a run that it goes on with, nothing left open.

        Args:
            config: as `config.json` holds it.
        """
        other = copy.copy(self)
        kept = self.config.to_dict().keys() & config.keys() - _MAY_CHANGE
        other._given = {**self.config.to_dict(), **{key: config[key] for key in kept}}
        other.config = self.kind.Config.from_values(other._given)
        return other

    def describe(self) -> dict[str, Any]:
        """What `config.json` says of the run, but for the fingerprint of its rows."""
        return {
            "application": self.application,
            "config": self.config.to_dict(),
            "chosen": dict(self.chosen),
            "data": {
                "train": _name(self.data),
                "validation": None if self.validation is None else _name(self.validation),
                **({"since": self._since} if self._since else {}),
                **({"until": self._until} if self._until else {}),
                **({"labels": os.fspath(self._labels)} if self._labels else {}),
            },
            "columns": self.columns,
            "seed": self.seed,
        }

    def read(self) -> Examples:
        """The rows of `data`."""
        rows = self._read(self.data, self.seed)
        return self.kind.input.within(rows, self._since, self._until)

    def read_validation(self) -> Examples:
        """The rows of `validation`."""
        return self._read(self.validation, self.seed + 1)

    def fingerprint(self, *rows: Examples) -> str:
        """Digest of the content of rows, by which a run knows its data again."""
        return fingerprint(*rows, columns=self.kind.columns())

    def _read(self, source: Any, seed: int) -> Examples:
        columns, sample = self.kind.columns(), self.kind.sample
        rows = read(source, columns, rename=self.columns, sample=sample, seed=seed)
        return self.kind.input.labelled(rows, self._labels) if self._labels else rows

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
            open_one = key in before.get("chosen", {}) and key not in self._given
            if old != value and key not in _MAY_CHANGE and not open_one:
                raise UserError(
                    f"{folder.path}: was started with {key}={old}, not {value}; "
                    "resume with the same settings"
                )


def _name(source: Any) -> str:
    if isinstance(source, Examples):
        return source.source
    return str(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"
