"""The application `anomalies` on NAB: one model of all files' probations, then row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import apps
from benchmarks.nab_score import Floats, LabelledSeries, probation

# The same for all files; what is not named is the default.
SETTINGS = {"ahead": 144, "validation_fraction": 0.1}


def application_scores(corpus: Sequence[LabelledSeries], seed: int) -> list[Floats]:
    """The scores of all rows of all files.

    The model learns from the rows of all probations, without labels and without time stamps, and is
    not changed by what follows; a file's scale, errors and state follow from its rows so far.

    Args:
        corpus: the files.
        seed: of the training.

    Returns:
        `(rows,)` of each file.
    """
    beginnings = [one.values[: probation(len(one.values))].tolist() for one in corpus]
    with tempfile.TemporaryDirectory() as folder:
        run = apps.train("anomalies", beginnings, run=Path(folder) / "nab", seed=seed, **SETTINGS)
        found = run.predict([one.values.tolist() for one in corpus])
    return [np.array(answer["score"], float) for answer in found]
