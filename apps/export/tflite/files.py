"""An application as a TFLite file, kept only once the interpreter gives the model's answers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from apps.application import Application
from apps.data import Examples
from apps.errors import UserError
from apps.export.agreement import (
    FLOAT32,
    Agreement,
    agreement,
    answers,
    check_kind,
    some_of,
    true_classes,
)
from apps.export.tflite.conversion import KINDS, convert
from apps.export.tflite.interpreter import opened
from apps.export.tflite.small_model import requests, small_model
from apps.layers.kernels.dispatch import for_this_process
from apps.training.golden import Golden

MODEL = "model.tflite"
_CLOSE = 1e-3


@dataclass(frozen=True)
class TfliteExport:
    """The result of an export to TFLite.

    Attributes:
        file: the file.
        kind: one of `KINDS`.
        entry: `step`, or `tensors`.
        size: steps of a chunk, or of the whole.
        kinds: how each kind compares, by name.
        measured: whether on rows that were not learnt from.
    """

    file: Path
    kind: str
    entry: str
    size: int
    kinds: Mapping[str, Agreement]
    measured: bool

    def told(self) -> str:
        """What was written, in one line."""
        own, exact = self.kinds[self.kind], self.kinds[FLOAT32]
        told = (
            f"{self.kind}, {own.bytes:,} bytes, {own.milliseconds:.2f} ms a call of {self.size} "
            f"steps, differs by {own.difference:.0e}"
        )
        if own.correct is None or exact.correct is None:
            return told
        return f"{told}, {own.correct:.3f} correct ({exact.correct:.3f} in float32)"


def export_tflite(
    application: Application,
    folder: str | os.PathLike[str],
    goldens: Sequence[Golden],
    kind: str = FLOAT32,
    units: Examples | None = None,
) -> TfliteExport:
    """Write an application as `model.tflite`.

    Every kind is made and compared, so that one can be chosen; the one asked for is kept.

    Args:
        application: with its trained model.
        folder: an existing folder.
        goldens: recorded requests, which it is compared on unless there are rows.
        kind: `float32`, `float16` or `int8`.
        units: rows with targets that were not learnt from.

    Raises:
        UserError: the model cannot be converted, or the interpreter's answers in float32 differ.
    """
    check_kind("--tflite", kind, KINDS)
    name = application.name
    small = small_model(application, goldens)
    made = convert(small, name)
    units = None if units is None else some_of(units)
    rows = list(requests(application, small, units, goldens))
    with for_this_process():
        own = tf.function(small.model, autograph=False).get_concrete_function(**small.inputs)
    tensors = [[{n: tf.constant(v) for n, v in one.items()} for one in row] for row in rows]
    states = {name: small.inputs[name] for name in small.states}
    wanted = answers(own, tensors, states)
    classes, truth = bool(application.labels), true_classes(application, units)
    kinds = {
        one: agreement(
            opened(file, small.entry),
            len(file),
            rows,
            wanted,
            states=states,
            classes=classes,
            truth=truth,
        )
        for one, file in made.items()
    }
    if not kinds[FLOAT32].difference <= _CLOSE:
        raise UserError(
            f"{name}: the interpreter's answers in float32 differ by "
            f"{kinds[FLOAT32].difference:.1e}; export without --tflite"
        )
    place = Path(folder) / MODEL
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tflite-") as beside:
        written = Path(beside) / MODEL
        written.write_bytes(made[kind])
        os.replace(written, place)
    return TfliteExport(place, kind, small.entry, small.size, kinds, units is not None)
