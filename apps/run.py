"""A finished run in the Python API: evaluate, predict, report and export."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps import environment
from apps.export.saved_model import export_version
from apps.training.run import FinishedRun


class Run(FinishedRun):
    """A trained model with its configuration and baselines, independent of its training data.

    Args:
        folder: a run folder whose training has finished.

    Raises:
        UserError: the folder is not a run, or its training has not finished.
    """

    def export(
        self,
        base: str | os.PathLike[str] = "saved_models",
        *,
        onnx: bool | str = False,
        tflite: str | None = None,
        measure: Any = None,
        log: Callable[[str], None] | None = None,
    ) -> Path:
        """Write the next version of the SavedModel; it appears once it has passed the gate.

        Args:
            base: the folder of all models.
            onnx: also write `assets.extra/model.onnx` and the files that it needs: True or
                `float32`, or `int8`.
            tflite: also write `assets.extra/model.tflite`: `float32`, `float16` or `int8`.
            measure: a source of rows that were not learnt from; the model card then says how often
                each kind of such a file is right.
            log: takes progress lines; standard error unless given.

        Returns:
            The folder of the version, `base/APPLICATION/N`.

        Raises:
            UserError: the gate refuses the version, or it cannot be written.
        """
        given = {"onnx": onnx, "tflite": tflite, "measure": measure}
        return export_version(self, base, log=log or environment.say, **given)
