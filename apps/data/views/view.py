"""The interface of a view: units, their order in training, and the arrays of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from apps.data.views.buckets import Batch


class ArraySpec(NamedTuple):
    """Type and shape of a batch's array; None where a size differs from batch to batch."""

    dtype: np.dtype
    shape: tuple[int | None, ...]


class View(ABC):
    """Units that a model is trained or measured on, in batches.

    A unit is what counts once: a row, a window of a series, a window of a file of tokens. What a
    batch holds depends only on the view's data and on (seed, epoch, position), so that an
    interrupted epoch continues where it stopped.

    Attributes:
        carries_state: whether a row of a batch continues the same row of the batch before. The
            model's outputs named `state_…` are then its inputs of that name in the next batch, and
            zeros where `Batch.begins`.
    """

    carries_state = False

    @abstractmethod
    def __len__(self) -> int:
        """Number of units."""

    @property
    @abstractmethod
    def lengths(self) -> np.ndarray:
        """`(units,)` int64, steps of each unit's main sequence; ones where there is none."""

    @abstractmethod
    def specs(self) -> dict[str, ArraySpec]:
        """The arrays of a batch by name."""

    @abstractmethod
    def epoch(self, batch_size: int, seed: int, epoch: int) -> list[Batch]:
        """The batches of an epoch of training, a pure function of the arguments."""

    @abstractmethod
    def sweep(self, batch_size: int) -> list[Batch]:
        """Batches that hold every unit exactly once, for measuring."""

    @abstractmethod
    def fetch(self, batch: Batch) -> dict[str, np.ndarray]:
        """The arrays of a batch, as `specs` describes them."""

    def steps(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return -(-len(self) // batch_size)
