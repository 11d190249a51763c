"""Versions of SavedModels on disk, and the metadata of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from apps.errors import UserError
from apps.layers.doctor.saved import SAVED_MODEL

ABOUT = Path("assets.extra") / "about.json"


def is_saved_model(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a SavedModel, or holds versions of one."""
    path = Path(folder)
    return (path / SAVED_MODEL).is_file() or bool(_versions(path))


def version_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder of a version.

    Raises:
        UserError: there is no SavedModel.
    """
    path = Path(folder)
    if not (path / SAVED_MODEL).is_file():
        versions = _versions(path)
        hint = f"name a version, such as {versions[-1]}" if versions else "name a SavedModel"
        raise UserError(f"{path}: not a SavedModel (no {SAVED_MODEL}); {hint}")
    return path


def about_version(folder: Path) -> dict[str, Any]:
    """The metadata of a version exported by this package: application, config, seed, labels, …

    Raises:
        UserError: it was not exported by this package.
    """
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        about["application"], about["config"], about["seed"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder}: not exported by this package (no {ABOUT}), so its columns are not "
            "known; use `apps predict` with inputs as arguments"
        ) from None
    return about


def _versions(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [entry for entry in folder.iterdir() if entry.name.isdecimal()]
    return sorted(
        (entry for entry in found if (entry / SAVED_MODEL).is_file()),
        key=lambda entry: int(entry.name),
    )
