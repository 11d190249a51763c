"""A naive competitor of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.data import Examples


class Baseline(ABC):
    """A naive competitor, fitted on the same rows and measured in the same way.

    Its state consists of arrays without pickled objects, so that a run folder can hold it without
    the training data.
    """

    @abstractmethod
    def fit(self, examples: Examples) -> None:
        """Learn from the training rows."""

    @abstractmethod
    def predict(self, examples: Examples) -> Any:
        """Answers as the task's `statistics` takes them, one entry per row."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs; object arrays are not allowed."""

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the fitted baseline from what `state` gave."""
