"""Answers of a SavedModel version in this process, without a server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from apps import catalogue
from apps.answers import answers
from apps.data import Examples, read
from apps.errors import UserError
from apps.export.versions import ABOUT, about_version, version_folder
from apps.serving.client.metadata import ModelMetadata
from apps.serving.client.values import columns
from apps.serving.errors import ServingError
from apps.serving.models.servable import DEFAULT_SIGNATURE, Servable

_ROWS = 64


class LocalModel:
    """A version that is asked for everything, as a server would be asked.

    Args:
        folder: a version, `saved_models/sentiment/1`, of this package or of another.

    Raises:
        UserError: there is no SavedModel, or it cannot be loaded.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        path = version_folder(folder)
        self.folder = path
        self._servable = _refusing(path, lambda: Servable.load(path, path.parent.name, 0))
        graph = SimpleNamespace(signature_def=self._servable.signatures)
        self._entry = DEFAULT_SIGNATURE
        if (path / ABOUT).is_file():
            self._entry = catalogue.load(self.application()).input.entry
        metadata = ModelMetadata.from_message(path.parent.name, 0, graph)
        self._signature = metadata.signature(self._entry)

    def predict(
        self,
        inputs: Any,
        *,
        columns: Mapping[str, str] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[dict[str, Any]]:
        """Answers for raw inputs, in their order.

        Args:
            inputs: a list of inputs, or for a version of this package any source that holds the
                application's input columns.
            columns: the application's column names to the source's, where they differ.
            since, until: of series, what is known of them ends before `until`.

        Raises:
            UserError: inputs that the model does not take.
        """
        source = isinstance(inputs, (str, os.PathLike))
        if not source and not len(inputs):
            return []
        if source or (self.folder / ABOUT).is_file():
            rows = self._read(inputs, columns)
            return self._answer_examples(rows, since, until)
        found = []
        for start in range(0, len(inputs), _ROWS):
            found += self._answer(inputs[start : start + _ROWS])
        return found

    def application(self) -> str:
        """The application that the version was exported by.

        Raises:
            UserError: it was not exported by this package.
        """
        return about_version(self.folder)["application"]

    def _read(self, source: Any, renamed: Mapping[str, str] | None) -> Examples:
        kind = catalogue.load(self.application())
        wanted = {**kind.input.columns, **kind.input.attributes}
        rename = {name: other for name, other in (renamed or {}).items() if name in wanted}
        if isinstance(source, Sequence) and not isinstance(source, (str, Mapping, tuple)):
            name = next(iter(wanted))
            source = [row if isinstance(row, (Mapping, tuple)) else {name: row} for row in source]
        return read(source, wanted, rename=rename, sample=kind.sample, seed=0, asking=True)

    def _answer_examples(
        self, examples: Examples, since: str | None, until: str | None
    ) -> list[dict[str, Any]]:
        kind, about = catalogue.load(self.application()), about_version(self.folder)
        given = kind.input.bound(kind.Config.from_values(about["config"]), about["seed"], {})
        units = given.asked(given.within(examples, since, until), about)
        found = []
        for start in range(0, len(units), _ROWS):
            rows = range(start, min(start + _ROWS, len(units)))
            found += self._answer(given.raw(units.select(rows), about))
        return found

    def _answer(self, rows: Sequence[Any] | Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        arrays, count = columns(rows, self._signature)
        outputs = _refusing(self.folder, lambda: self._servable.run(self._entry, arrays))
        return answers(outputs, count)


def _refusing(folder: Path, call: Any) -> Any:
    try:
        return call()
    except ServingError as error:
        raise UserError(f"{folder}: {error.message[:300]}; check it with `apps verify`") from error
