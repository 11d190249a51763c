"""Windows over many series, and a split by time that keeps training and validation apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows of a given length in some series, each made when it is indexed.

    Attributes:
        series: each `(time, channels)`.
        context: steps of a window that a model sees.
        horizon: steps after them that the model is to predict.
        stride: steps from the start of one window to the start of the next.
    """

    series: Sequence[np.ndarray]
    context: int
    horizon: int = 0
    stride: int = 1

    def __post_init__(self) -> None:
        if self.context < 1 or self.horizon < 0 or self.stride < 1:
            raise ValueError(
                f"context={self.context}, horizon={self.horizon}, stride={self.stride}: give at "
                "least 1, 0 and 1"
            )

    @cached_property
    def places(self) -> np.ndarray:
        """`(windows, 2)` int64: the number of the series, and the step at which a window starts."""
        size = self.context + self.horizon
        found = [
            np.stack([np.full(len(starts), number), starts], 1)
            for number, one in enumerate(self.series)
            if len(starts := np.arange(0, len(one) - size + 1, self.stride))
        ]
        return np.concatenate(found).astype(np.int64) if found else np.zeros((0, 2), np.int64)

    @cached_property
    def blocks(self) -> np.ndarray:
        """`(windows,)` int64: windows with the same number overlap, or nearly do.

        They are not independent, so a bootstrap draws them together (Künsch 1989, "The jackknife
        and the bootstrap for general stationary observations").
        """
        size = self.context + self.horizon
        keys = np.stack([self.places[:, 0], self.places[:, 1] // size], 1)
        return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, window: int) -> np.ndarray:
        """What the model sees, `(context, channels)`."""
        number, start = self.places[window]
        return self.series[number][start : start + self.context]

    def future(self, window: int) -> np.ndarray:
        """The steps after it, `(horizon, channels)`."""
        number, start = self.places[window]
        start += self.context
        return self.series[number][start : start + self.horizon]


def split_by_time(length: int, fraction: float, gap: int) -> tuple[slice, slice]:
    """The steps of a series to train on and, after a gap, those to validate on.

    Args:
        length: steps of the series.
        fraction: share of the steps that validation gets, between 0 and 1.
        gap: steps between the sides that belong to neither, so that windows of different sides
            neither share a step nor adjoin.

    Returns:
        Both sides; either may be empty where the series is short.
    """
    start = length - round(fraction * length)
    return slice(0, max(start - gap, 0)), slice(start, length)
