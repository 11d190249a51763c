"""Diagnoses of files: a run, a Keras file or a SavedModel."""

import contextlib
import importlib
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import keras

import apps.layers  # noqa: F401  (registers the layers that a file from elsewhere may name)
from apps.errors import UserError, cause_of
from apps.layers.doctor.configs import diagnose_config, nodes
from apps.layers.doctor.diagnosis import Diagnosis, known
from apps.layers.doctor.models import diagnose_model
from apps.layers.doctor.saved import SAVED_MODEL, diagnose_saved_model

HDF5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK"
AGAIN = "copy or save it again"
RUN_MODEL = "model.keras"
_OURS = ("apps.layers.", "apps.tasks.", "apps.inputs.")


def diagnose_file(path: str | os.PathLike[str]) -> list[Diagnosis]:
    """Diagnose the recurrent layers of a saved model.

    Args:
        path: a `.keras` or HDF5 file, a run folder (its `model.keras`) or a SavedModel folder.

    Returns:
        One diagnosis for each recurrent layer. Where code of the user's that the model needs is
        not known here, its other layers are examined by their configuration, and the ones that
        cannot be are listed as unknown.

    Raises:
        UserError: there is no such file, or it is not a model, or it is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist; name a .keras file, a run or a SavedModel")
    if path.is_dir():
        return _diagnose_folder(path)
    if path.name == SAVED_MODEL:
        return diagnose_saved_model(path.parent)
    return _diagnose_keras(path)


def _diagnose_folder(folder: Path) -> list[Diagnosis]:
    if (folder / SAVED_MODEL).is_file():
        return diagnose_saved_model(folder)
    if (folder / RUN_MODEL).is_file():
        return _diagnose_keras(folder / RUN_MODEL)
    versions = sorted(
        (int(version.name), version)
        for version in folder.iterdir()
        if version.name.isdecimal() and (version / SAVED_MODEL).is_file()
    )
    if versions:
        names = ", ".join(version.name for _, version in versions)
        raise UserError(f"{folder} holds versions {names}; name one, such as {versions[-1][1]}")
    raise UserError(
        f"{folder} holds neither {RUN_MODEL} nor {SAVED_MODEL}; name a run or a SavedModel"
    )


def _diagnose_keras(path: Path) -> list[Diagnosis]:
    """What a Keras file holds is told from its content: renamed files are common."""
    try:
        with path.open("rb") as stream:
            start = stream.read(len(HDF5))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    suffix = ".h5" if start == HDF5 else ".keras"
    if not start:
        raise UserError(f"{path} is empty; {AGAIN}")
    if start != HDF5 and not start.startswith(ZIP):
        raise UserError(f"{path} is no model; name a .keras file, a run or a SavedModel")
    config = _config(path, suffix)
    _register(config)
    model = _load(path, suffix)
    if isinstance(model, keras.Model):
        return diagnose_model(model)
    found = diagnose_config(config, f"the model cannot be loaded: {cause_of(model, 100)}")
    if any(map(known, found)):
        return found
    if not found:
        raise UserError(f"{path} cannot be loaded: {cause_of(model)}; {AGAIN}") from model
    layers = ", ".join(f"'{one.layer}' ({one.reason})" for one in found)
    raise UserError(f"{path} cannot be loaded, nor {layers}; {found[0].remedy}") from model


def _register(config: dict[str, Any]) -> None:
    """Import what the model's layers of this package are defined in: Keras finds no others."""
    for node in nodes(config):
        module = node.get("module")
        if isinstance(module, str) and module.startswith(_OURS):
            with contextlib.suppress(ImportError):
                importlib.import_module(module)


def _load(path: Path, suffix: str) -> keras.Model | Exception:
    """The model, or why it cannot be loaded; Keras goes by the file's name."""
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder, f"model{suffix}")
        named.symlink_to(path.resolve())
        try:
            return keras.saving.load_model(named, compile=False)
        # A model that needs code of the user's can fail in any way.
        except Exception as error:
            return error


def _config(path: Path, suffix: str) -> dict[str, Any]:
    """The model's configuration, which Keras keeps in the file as JSON."""
    try:
        if suffix == ".h5":
            with h5py.File(path) as file:
                text = file.attrs.get("model_config")
        else:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                text = archive.read("config.json") if "config.json" in names else None
        config = None if text is None else json.loads(text)
    except (OSError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be loaded: {cause_of(error)}; {AGAIN}") from error
    if config is None:
        raise UserError(
            f"{path} holds no model's configuration, only weights or something else; name the "
            ".keras file of the whole model"
        )
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise UserError(f"{path} cannot be loaded: its configuration is no model's; {AGAIN}")
    return config
