"""A run as a SavedModel version that TensorFlow Serving picks up."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from apps.errors import UserError

if TYPE_CHECKING:
    from apps.application import Application


def export_saved_model(application: Application, base: str | os.PathLike[str]) -> Path:
    """Write the next version of an application's SavedModel.

    `serving_default` takes raw input and gives named answers; `tensors` takes prepared tensors with
    explicit lengths and gives the model's output. The version is written and loaded again beside
    its place and renamed into it, so that a server polling the folder sees a whole version or none.

    Args:
        application: with its trained model.
        base: the folder of all models; the version becomes `base/APPLICATION/N`.

    Returns:
        The folder of the version; N is one more than the largest integer there.

    Raises:
        UserError: `base` is a file, or cannot be written to.
    """
    models = Path(base) / application.name
    try:
        models.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{base}: is a file; name a folder for SavedModels") from None
    beside = Path(tempfile.mkdtemp(dir=models, prefix=".writing-"))
    try:
        written = beside / "version"
        _write(application, written)
        tf.saved_model.load(os.fspath(written))
        while True:
            place = models / str(_next_version(models))
            try:
                os.rename(written, place)
                return place
            except OSError:
                if not place.exists():
                    raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(application: Application, folder: Path) -> None:
    served = application.served()
    archive = keras.export.ExportArchive()
    archive.track(served)

    def serve(*raw: tf.Tensor) -> dict[str, tf.Tensor]:
        return served(dict(zip(application.raw_inputs(), raw, strict=True)), training=False)

    def infer(*prepared: tf.Tensor) -> dict[str, tf.Tensor]:
        names = [tensor.name for tensor in application.model.inputs]
        outputs = application.model(dict(zip(names, prepared, strict=True)), training=False)
        return {"outputs": outputs}

    archive.add_endpoint("serving_default", serve, _signature(application.raw_inputs().values()))
    archive.add_endpoint("tensors", infer, _signature(application.model.inputs))
    archive.write_out(os.fspath(folder), verbose=False)


def _signature(tensors: Any) -> list[tf.TensorSpec]:
    return [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in tensors]


def _next_version(models: Path) -> int:
    versions = [int(entry.name) for entry in models.iterdir() if entry.name.isdecimal()]
    return max(versions, default=0) + 1
