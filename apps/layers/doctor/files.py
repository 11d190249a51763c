"""Diagnoses of files: a run, a Keras file or a SavedModel."""

import os
from pathlib import Path

import keras

import apps.layers  # noqa: F401  (registers the layers that a file may name)
from apps.errors import UserError
from apps.layers.doctor.diagnosis import Diagnosis
from apps.layers.doctor.models import diagnose_model
from apps.layers.doctor.saved import SAVED_MODEL, diagnose_saved_model

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
RUN_MODEL = "model.keras"


def diagnose_file(path: str | os.PathLike[str]) -> list[Diagnosis]:
    """Diagnose the recurrent layers of a saved model.

    Args:
        path: a `.keras` or `.h5` file, a run folder (its `model.keras`) or a SavedModel folder.

    Returns:
        One diagnosis for each recurrent layer.

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
    if path.suffix.lower() not in KERAS_SUFFIXES:
        raise UserError(f"{path} is no model; name a .keras file, a run or a SavedModel")
    return diagnose_model(_load(path))


def _diagnose_folder(folder: Path) -> list[Diagnosis]:
    if (folder / SAVED_MODEL).is_file():
        return diagnose_saved_model(folder)
    if (folder / RUN_MODEL).is_file():
        return diagnose_model(_load(folder / RUN_MODEL))
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


def _load(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False)
    # A damaged archive fails in the zip, JSON, HDF5 or layer code, each with errors of its own.
    except Exception as error:
        cause = str(error).strip().split("\n")[0]
        raise UserError(f"{path} cannot be loaded: {type(error).__name__}: {cause}") from error
