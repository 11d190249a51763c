"""Answers of a SavedModel version in this process, without a server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from apps import catalogue
from apps.data import Examples, Kind, read
from apps.errors import UserError
from apps.export.saved_model import ABOUT
from apps.layers.doctor.saved import SAVED_MODEL
from apps.serving.client.metadata import ModelMetadata
from apps.serving.client.values import answers, columns
from apps.serving.errors import ServingError
from apps.serving.models.servable import DEFAULT_SIGNATURE, Servable

_ROWS = 64


def is_saved_model(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a SavedModel, or holds versions of one."""
    path = Path(folder)
    return (path / SAVED_MODEL).is_file() or bool(_versions(path))


class LocalModel:
    """A version whose `serving_default` is asked as a server would ask it.

    Args:
        folder: a version, `saved_models/sentiment/1`, of this package or of another.

    Raises:
        UserError: there is no SavedModel, or it cannot be loaded.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        path = Path(folder)
        if not (path / SAVED_MODEL).is_file():
            versions = _versions(path)
            hint = f"name a version, such as {versions[-1]}" if versions else "name a SavedModel"
            raise UserError(f"{path}: not a SavedModel (no {SAVED_MODEL}); {hint}")
        self.folder = path
        self._servable = _refusing(path, lambda: Servable.load(path, path.parent.name, 0))
        graph = SimpleNamespace(signature_def=self._servable.signatures)
        self._signature = ModelMetadata.from_message(path.parent.name, 0, graph).signature(
            DEFAULT_SIGNATURE
        )

    def predict(
        self, inputs: Any, *, columns: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Answers for raw inputs, in their order.

        Args:
            inputs: a list of inputs, or for a version of this package any source that holds the
                application's input columns.
            columns: the application's column names to the source's, where they differ.

        Raises:
            UserError: inputs that the model does not take.
        """
        source = isinstance(inputs, (str, os.PathLike))
        if not source and not len(inputs):
            return []
        if source or self._takes_recordings():
            return self._answer_examples(self._read(inputs, columns))
        found = []
        for start in range(0, len(inputs), _ROWS):
            found += self._answer(inputs[start : start + _ROWS])
        return found

    def application(self) -> str:
        """The application that the version was exported by.

        Raises:
            UserError: it was not exported by this package.
        """
        try:
            return self._about()["application"]
        except (OSError, ValueError, KeyError):
            raise UserError(
                f"{self.folder}: not exported by this package (no {ABOUT}), so that its columns "
                "are not known; give inputs as arguments instead of --file"
            ) from None

    def _about(self) -> dict[str, Any]:
        return json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))

    def _takes_recordings(self) -> bool:
        """Whether inputs are recordings, which are decoded here before they are sent."""
        if not (self.folder / ABOUT).is_file():
            return False
        kind = catalogue.load(self.application())
        return any(kind.columns[name].kind is Kind.AUDIO for name in kind.inputs)

    def _read(self, source: Any, renamed: Mapping[str, str] | None) -> Examples:
        kind = catalogue.load(self.application())
        wanted = {name: kind.columns[name] for name in kind.inputs}
        rename = {name: other for name, other in (renamed or {}).items() if name in wanted}
        return read(source, wanted, rename=rename, sample=kind.sample, seed=0)

    def _answer_examples(self, examples: Examples) -> list[dict[str, Any]]:
        kind, about = catalogue.load(self.application()), self._about()
        found = []
        for start in range(0, len(examples), _ROWS):
            rows = range(start, min(start + _ROWS, len(examples)))
            found += self._answer(kind.raw_from(examples.select(rows), about))
        return found

    def _answer(self, rows: Sequence[Any] | Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        arrays, count = columns(rows, self._signature)
        outputs = _refusing(self.folder, lambda: self._servable.run(DEFAULT_SIGNATURE, arrays))
        return answers(outputs, count)


def _versions(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [entry for entry in folder.iterdir() if entry.name.isdecimal()]
    return sorted(
        (entry for entry in found if (entry / SAVED_MODEL).is_file()),
        key=lambda entry: int(entry.name),
    )


def _refusing(folder: Path, call: Any) -> Any:
    try:
        return call()
    except ServingError as error:
        raise UserError(f"{folder}: {error.message[:300]}; check it with `apps verify`") from error
