"""Hyperparameter search over any application, on KerasTuner's oracles.

    import tuning

    found = tuning.search("sentiment", data="reviews.csv", minutes=30)
    found.best           # {"id": "0007", "score": 0.91, "spread": 0.004, "values": {…}, …}
    found.run.predict(["not bad at all"])
    tuning.load("searches/sentiment-…")

TensorFlow is imported when something is searched, not before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from apps import environment
from apps.errors import UserError

if TYPE_CHECKING:
    from tuning.found import Found

environment.prepare()
# The process that searches opens the GPU too; this leaves the memory to the trials.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

__all__ = ["UserError", "load", "search"]


def search(application: str, data: Any = "sample", **arguments: Any) -> Found:
    """Search an application's hyperparameters.

    Args:
        application: a name of the catalogue.
        data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
        **arguments: fields of `tuning.arguments.SearchArguments`, each with its description;
            `python -m tuning --help` prints them.

    Returns:
        What was found; the same as `load` of the folder gives.

    Raises:
        UserError: an argument, the data or the folder is at fault, or no trial completed.
        KeyboardInterrupt: with everything on disk that `resume` needs.
    """
    from tuning.searching import search as run_search

    return run_search(application, data, **arguments)


def load(folder: str | os.PathLike[str]) -> Found:
    """What the search in a folder has found so far.

    Raises:
        UserError: there is no search in it, or a file of it is damaged.
    """
    from tuning.found import Found

    return Found(folder)
