"""How many epochs few rows need."""

from __future__ import annotations

import math

from apps.configuration import ApplicationConfig
from apps.data import View

# Of the steps that few rows get, the share that may pass without an improvement.
_PATIENCE = 0.25


def enough_epochs(config: ApplicationConfig, view: View) -> dict[str, int]:
    """`epochs` and `patience` as the config has them, or more, so that they hold enough steps.

    The steps of a model that learns from few rows are as many as those of one that learns from
    many: an epoch of two of them teaches next to nothing.

    Args:
        config: `updates` is the least number of steps.
        view: of the units to train on.
    """
    enough = math.ceil(config.updates / view.steps(config.batch_size))
    return {
        "epochs": max(config.epochs, enough),
        "patience": max(config.patience, math.ceil(_PATIENCE * enough)),
    }
