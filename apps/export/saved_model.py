"""A run as a SavedModel version that TensorFlow Serving picks up."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from apps import strict_json
from apps.composition import layers_of
from apps.errors import UserError
from apps.export import golden, model_card, models_config
from apps.export.agreement import FLOAT32, check_kind
from apps.export.gate import verify
from apps.export.versions import ABOUT
from apps.layers.kernels.dispatch import forward_only
from apps.signatures import PREDICT, Signature
from apps.training.golden import Golden, from_arrays, further_requests
from apps.training.run import Chosen, FinishedRun

BATCHING = "batching_params.pbtxt"
_BESIDE = ".writing-"


def export_version(
    run: FinishedRun,
    base: str | os.PathLike[str],
    *,
    model: str | None = None,
    onnx: bool | str = False,
    tflite: str | None = None,
    measure: Any = None,
    log: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write the next version of a run's SavedModel, verify it with the gate, and publish it.

    The version is written and verified beside its place and then renamed into it, so that a server
    polling the folder sees a whole version or none, even if this process is killed.

    Args:
        run: a finished run.
        base: the folder of all models; the version becomes `base/MODEL/N`.
        model: its name there; that of the application unless given.
        onnx: also write `assets.extra/model.onnx`, of this kind of numbers; True is `float32`.
        tflite: also write `assets.extra/model.tflite`, of this kind of numbers.
        measure: a source of rows that were not learnt from, on which its kinds are measured.
        log: takes progress lines.

    Returns:
        The folder of the version; N is one more than the largest integer there.

    Raises:
        UserError: the gate refuses the version, `base` is a file, or rows cannot be read.
    """
    application = run.application
    onnx = FLOAT32 if onnx is True else onnx
    if onnx:
        from apps.export import onnx as to_onnx

        check_kind("--onnx", onnx, to_onnx.KINDS)
    if tflite is not None:
        from apps.export import tflite as to_tflite

        check_kind("--tflite", tflite, to_tflite.KINDS)
    units = None
    if measure is not None:
        if tflite is None and not onnx:
            raise UserError("--measure: it is for the files of --tflite and --onnx; add one")
        units = application.input.units(run.checked(measure, Chosen())[1])
    name = model or application.name
    models = Path(base) / name
    try:
        models.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{base} is a file; name a folder for SavedModels") from None
    models_config.read(Path(base))
    answers = from_arrays(run.files.read_arrays(run.files.golden))
    with _alone_in(models):
        for left_by_a_killed_export in models.glob(f"{_BESIDE}*"):
            shutil.rmtree(left_by_a_killed_export, ignore_errors=True)
        number = str(_next_version(models))
        beside = Path(tempfile.mkdtemp(dir=models, prefix=_BESIDE))
        try:
            written = beside / number
            signatures = application.signatures()
            _write_graph(run, signatures, written)
            log(f"wrote version {number}: {', '.join(signatures)}")
            (written / ABOUT.parent).mkdir()
            files: dict[str, Any] = {}
            if tflite is not None:
                small = to_tflite.export_tflite(
                    application, written / ABOUT.parent, answers, tflite, units
                )
                log(f"wrote TFLite: {small.told()}")
                files["small"] = small
            if onnx:
                exported = to_onnx.export_onnx(
                    application, written / ABOUT.parent, answers, onnx, units
                )
                files["onnx"] = exported
                log(f"wrote ONNX: onnxruntime agrees within {exported.difference:.0e}")
                for words in exported.outside:
                    log(f"outside the ONNX file: {words}")
            _write_extras(run, signatures, answers, written, files)
            verify(written, log=log).require()
            _flush(written)
            os.rename(written, models / number)
            _flush_folder(models)
        except tf.errors.ResourceExhaustedError as error:
            if "No space left" not in error.message:
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(base)) from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        models_config.add(Path(base), name)
    return models / number


@contextmanager
def _alone_in(models: Path) -> Iterator[None]:
    """Wait until no other export writes into a model's folder."""
    folder = os.open(models, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _next_version(models: Path) -> int:
    versions = [int(entry.name) for entry in models.iterdir() if entry.name.isdecimal()]
    return max(versions, default=0) + 1


def _write_graph(run: FinishedRun, signatures: dict[str, Signature], folder: Path) -> None:
    archive = keras.export.ExportArchive()
    # Every variable that a signature reads belongs to a layer; a model would be traced once more.
    for layer in layers_of(run.application.served).values():
        archive.track(layer)
    for name, signature in signatures.items():
        archive.add_endpoint(name, _traced_once(signature))
    archive.write_out(os.fspath(folder), verbose=False)
    methods = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(os.fspath(folder))
    for name, signature in signatures.items():
        if signature.method != PREDICT:
            methods.replace_method_name(signature_key=name, method_name=signature.method)
    methods.save()


def _traced_once(signature: Signature) -> Any:
    """A signature as a function that is not traced again to be saved.

    TensorFlow does that because variables can be saved so that functions name their devices, which
    they never do here.
    """
    specs = list(signature.inputs.values())
    function = tf.function(signature.call, input_signature=specs, autograph=False)
    # Whoever serves a model asks for no gradients, which would be half of its functions.
    with forward_only():
        traced = function.get_concrete_function()
    function._list_all_concrete_functions_for_serialization = lambda: [traced]
    return function


def _write_extras(
    run: FinishedRun,
    signatures: dict[str, Signature],
    answers: list[Golden],
    folder: Path,
    files: dict[str, Any],
) -> None:
    application, name = run.application, run.application.name
    answers = [*answers, *further_requests(signatures, answers)]
    golden.write_records(
        folder / golden.WARM_UP,
        [
            golden.record(golden.request(name, one.signature, one.inputs), one.outputs)
            for one in answers
        ],
    )
    extra = folder / ABOUT.parent
    about: dict[str, Any] = {
        "application": name,
        "labels": list(application.labels),
        "config": application.config.to_dict(),
        "seed": application.seed,
        **application.metadata(),
        "parameters": application.inference().count_params(),
        "signatures": {
            key: {"inputs": list(signature.inputs), "method": signature.method}
            for key, signature in signatures.items()
        },
        "states": list(application.stream_states()),
    }
    (folder / ABOUT).write_text(strict_json.dumps(about, indent=2) + "\n")
    if application.labels:
        lines = "".join(f"{label}\n" for label in application.labels)
        (extra / "labels.txt").write_text(lines, encoding="utf-8")
    card = model_card.render(run, signatures, answers, files)
    (extra / "model_card.md").write_text(card, encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name(BATCHING), folder / BATCHING)


def _flush(folder: Path) -> None:
    for parent, _, files in os.walk(folder):
        for file in files:
            with Path(parent, file).open("rb") as stream:
                os.fsync(stream.fileno())
        _flush_folder(Path(parent))


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
