"""LSTM applications: from your own data to a trained, honestly measured, served model.

    import apps

    run = apps.train("sentiment", data="reviews.csv", units=128, minutes=10)
    run.evaluate("test.csv")
    run.predict(["not bad at all"])
    run = apps.load("runs/sentiment-…")

TensorFlow is imported when something is trained or run, not before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from apps import environment
from apps.catalogue import APPLICATIONS
from apps.errors import UserError

if TYPE_CHECKING:
    from apps.run import Run

environment.prepare()

__all__ = ["APPLICATIONS", "UserError", "load", "train"]


def train(application: str, data: Any = "sample", **arguments: Any) -> Run:
    """Train an application on a data source; see `apps.training.train.train` for all arguments."""
    from apps.training.train import train as run_training

    return load(run_training(application, data, **arguments))


def load(folder: str | os.PathLike[str]) -> Run:
    """The run in a folder that `train` has written.

    Raises:
        UserError: the folder is not a run, or its training has not finished.
    """
    from apps.run import Run

    return Run(os.fspath(folder))
