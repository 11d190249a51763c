"""An application's model as an ONNX file, kept only once onnxruntime gives the same answers."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from onnx import helper

from apps.application import Application
from apps.composition import beginning_states, served_tensors
from apps.data import Examples
from apps.errors import UserError
from apps.export.agreement import (
    FLOAT32,
    INT8,
    Agreement,
    Arrays,
    check_kind,
    some_of,
    true_classes,
)
from apps.export.onnx.comparison import compare
from apps.export.onnx.conversion import convert
from apps.export.onnx.outside import around
from apps.export.onnx.quantization import KINDS, compared, quantize
from apps.training.golden import Golden

MODEL = "model.onnx"


@dataclass(frozen=True)
class OnnxExport:
    """The result of an export to ONNX.

    Attributes:
        files: the ONNX file and the files beside it for its clients.
        difference: largest difference of onnxruntime's outputs from TensorFlow's, divided by the
            largest output of the batch where that is more than 1.
        outside: what a client must do itself, in words.
        kind: of numbers in the weights, one of `KINDS`.
        kinds: how each kind compares on single rows, by name; none of the exact one alone, unless
            there are rows to measure on.
        measured: whether those are rows that were not learnt from.
    """

    files: tuple[Path, ...]
    difference: float
    outside: tuple[str, ...]
    kind: str
    kinds: Mapping[str, Agreement]
    measured: bool


def export_onnx(
    application: Application,
    folder: str | os.PathLike[str],
    goldens: Sequence[Golden],
    kind: str = FLOAT32,
    units: Examples | None = None,
) -> OnnxExport:
    """Write an application's model on prepared tensors as ONNX.

    Every LSTM is one fused operation. The file is written beside its place, compared with
    TensorFlow in onnxruntime, and renamed into place if they agree.

    Args:
        application: with its trained model.
        folder: an existing folder, for `model.onnx` and the files that its clients need.
        goldens: recorded requests, whose raw inputs are prepared and compared on.
        kind: of numbers in the weights, `float32` or `int8`.
        units: rows with targets that were not learnt from, on which both kinds are measured.

    Raises:
        UserError: the model cannot be converted, or onnxruntime's answers differ; nothing is left.
    """
    check_kind("--onnx", kind, KINDS)
    place, units = Path(folder), None if units is None else some_of(units)
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; make it, or name another one")
    tensors = served_tensors(application.served)
    outside = around(application.served, tensors)
    model = convert(tensors, application.name)
    prepared = [
        _prepared(application, one.inputs)
        for one in goldens
        if one.signature == application.input.entry
    ]
    metadata = {"application": application.name}
    files: dict[str, str] = {}
    for part in outside:
        metadata.update(part.metadata)
        files.update(part.files)
    metadata["outside"] = json.dumps([part.words for part in outside])
    helper.set_model_props(model, metadata)
    with tempfile.TemporaryDirectory(dir=place, prefix=".onnx-") as beside:
        written = Path(beside) / MODEL
        written.write_bytes(model.SerializeToString(deterministic=True))
        difference = compare(written, tensors, application.name, prepared)
        made = {FLOAT32: written}
        if kind == INT8:
            made[INT8] = Path(beside) / f"{INT8}.onnx"
            quantize(written, made[INT8], application.name)
        kinds: Mapping[str, Agreement] = {}
        # The exact file has been compared already.
        if kind != FLOAT32 or units is not None:
            kinds = compared(
                made,
                tensors,
                _single(application, prepared, units),
                bool(application.labels),
                true_classes(application, units),
            )
        os.replace(made[kind], written)
        for name, text in files.items():
            (Path(beside) / name).write_text(text, encoding="utf-8", newline="\n")
        # The model comes last: whoever sees it finds the files that it needs.
        names = [*files, MODEL]
        for name in names:
            os.replace(Path(beside) / name, place / name)
    return OnnxExport(
        files=tuple(place / name for name in reversed(names)),
        difference=difference,
        outside=tuple(part.words for part in outside),
        kind=kind,
        kinds=kinds,
        measured=units is not None,
    )


def _single(
    application: Application, prepared: list[dict[str, np.ndarray]], units: Examples | None
) -> list[Arrays]:
    """Prepared inputs of one row each."""
    if units is None:
        return [one for one in prepared if len(next(iter(one.values()))) == 1]
    return [_prepared(application, application.raw(units.select([n]))) for n in range(len(units))]


def _prepared(application: Application, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model's inputs, made from raw ones."""
    given = {name: tf.constant(value) for name, value in raw.items()}
    prepared = application.input.prepare(given)
    rows = len(next(iter(prepared.values())))
    states = beginning_states(served_tensors(application.served), rows)
    return {name: np.asarray(value) for name, value in {**prepared, **states}.items()}
