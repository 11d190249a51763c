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
    from apps.each_run import EachRun
    from apps.training.train import train as run_training

    run: Any = load(run_training(application, data, **arguments))
    if isinstance(run, EachRun):
        run.report()
    return run


def load(folder: str | os.PathLike[str]) -> Run:
    """The run in a folder that `train` has written.

    Where each series has a model of its own it is an `EachRun`, which is asked in the same ways.

    Raises:
        UserError: the folder is not a run, or its training has not finished.
    """
    from apps.each_run import EachRun
    from apps.run import Run
    from apps.training.run_folder import EACH

    kind: Any = EachRun if os.path.isfile(os.path.join(folder, EACH)) else Run
    found: Run = kind(os.fspath(folder))
    return found
