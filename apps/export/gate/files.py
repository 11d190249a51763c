"""Checks of a folder by the names in it, before any file is opened."""

from __future__ import annotations

from pathlib import Path

from apps.export.gate.verdict import RefusedError

SAVED_MODEL = "saved_model.pb"
LARGEST_VERSION = 2**63 - 1
_EXPORT = "export it as a SavedModel"
_KERAS = ("a Keras model", "load it and call model.export(folder/1)")
_TORCH = ("a PyTorch model", "TensorFlow Serving does not run it; train here or serve it elsewhere")
_PICKLE = ("a Python pickle", "TensorFlow Serving does not run it; " + _EXPORT)
_CHECKPOINT = ("a TensorFlow checkpoint, weights without a graph", f"load it, then {_EXPORT}")
_NAMES = {
    "saved_model.cpb": ("a SavedModel over 2 GB in parts", f"{_EXPORT} with a smaller graph"),
    "checkpoint": _CHECKPOINT,
    "MLmodel": ("an MLflow model", "name the SavedModel folder inside it"),
    "model.json": ("a TensorFlow.js model", "export the Keras model that it was made from"),
    "pytorch_model.bin": _TORCH,
}
_SUFFIXES = {
    ".keras": _KERAS,
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".pt": _TORCH,
    ".pth": _TORCH,
    ".safetensors": ("weights in safetensors", "load them into their model, then " + _EXPORT),
    ".onnx": ("an ONNX model", "serve it with onnxruntime, or export the model it was made from"),
    ".tflite": ("a TensorFlow Lite model", "export the model that it was made from"),
    ".pkl": _PICKLE,
    ".pickle": _PICKLE,
    ".joblib": _PICKLE,
    ".ckpt": _CHECKPOINT,
    ".index": _CHECKPOINT,
}


def require_version_folder(folder: Path) -> None:
    """Check by names alone that a folder can be a SavedModel version.

    Args:
        folder: what the user named.

    Raises:
        RefusedError: it cannot be one; the message says what it is instead.
    """
    if not folder.exists():
        raise RefusedError("does not exist", "name a version folder, such as saved_models/NAME/1")
    if not folder.is_dir():
        if folder.name == SAVED_MODEL:
            raise RefusedError("is a file in a version folder", f"name the folder {folder.parent}")
        kind, remedy = _kind_of([folder]) or ("a file", "name a version folder")
        raise RefusedError(f"is {kind}, not a SavedModel folder", remedy)
    entries = sorted(folder.iterdir())
    if not any((folder / name).is_file() for name in (SAVED_MODEL, "saved_model.pbtxt")):
        _refuse_without_graph(folder, entries)
    # Absolute because of "." and "..", but links are kept, since a server does not resolve them.
    name = folder.absolute().name if folder.name not in ("", "..") else folder.resolve().name
    if not is_version(name):
        raise RefusedError(
            f"TensorFlow Serving only loads integer-named version folders, not '{name}'",
            f"rename it, say to {folder.parent / '1'}",
        )


def is_version(name: str) -> bool:
    """Whether TensorFlow Serving takes a folder of this name as a version."""
    return name.isascii() and name.isdecimal() and int(name) <= LARGEST_VERSION


def _refuse_without_graph(folder: Path, entries: list[Path]) -> None:
    versions = sorted(
        (int(entry.name), entry)
        for entry in entries
        if is_version(entry.name) and (entry / SAVED_MODEL).is_file()
    )
    if versions:
        names = ", ".join(entry.name for _, entry in versions)
        raise RefusedError(f"holds versions {names}", f"name one, such as {versions[-1][1]}")
    if (folder / "model.keras").is_file() and (folder / "config.json").is_file():
        raise RefusedError("is a run, not an export", f"python -m apps export {folder}")
    kind = _kind_of(entries)
    if kind:
        raise RefusedError(f"holds {kind[0]}, not a SavedModel", kind[1])
    what = f"holds no {SAVED_MODEL}" if entries else "is empty"
    raise RefusedError(what, "export or copy the model again")


def _kind_of(files: list[Path]) -> tuple[str, str] | None:
    """The kind of model in these files, and the remedy; `None` if the names do not tell."""
    for file in files:
        known = _NAMES.get(file.name) or _SUFFIXES.get(file.suffix.lower())
        if known:
            return known
    return None
