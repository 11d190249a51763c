"""How reliable a classifier's confidence is: reliability bins and calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of a classifier in bins of equal width.

    Attributes:
        edges: float64 `(bins + 1,)`, from 0 to 1; a bin holds its upper edge and not its lower one.
        counts: int64 `(bins,)`, rows whose confidence lies in the bin.
        right: int64 `(bins,)`, those of them that are classified correctly.
        confidence: float64 `(bins,)`, mean confidence of the bin; NaN where it is empty.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of correct rows in each bin, float64 `(bins,)`; NaN where the bin is empty."""
        return _ratio(self.right, self.counts)

    @property
    def error(self) -> float:
        """Expected calibration error, a fraction; NaN where there are no rows."""
        return self._mean(np.abs(self.accuracy - self.confidence))

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy over all rows, a fraction; NaN where there are no rows."""
        return self._mean(self.confidence - self.accuracy)

    def accuracy_interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """95 % score interval of each bin's accuracy (Wilson 1927).

        Returns:
            Lower and upper bounds, float64 `(bins,)` each; NaN where the bin is empty.
        """
        z = 1.959964
        count = np.where(self.counts > 0, self.counts, np.nan)
        share = self.accuracy
        centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        spread = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
        half = spread / (1 + z**2 / count)
        return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)

    def _mean(self, values: NDArray[np.float64]) -> float:
        total = int(self.counts.sum())
        if not total:
            return float("nan")
        return float(np.sum(self.counts * np.where(self.counts > 0, values, 0.0)) / total)


def reliability(confidence: ArrayLike, hit: ArrayLike, bins: int = BINS) -> Reliability:
    """Group rows by the probability of the most likely class (Guo et al. 2017, section 2).

    Args:
        confidence: `(rows,)`, the probability of the most likely class.
        hit: bool `(rows,)`, whether that class is the true one.
        bins: number of bins of equal width between 0 and 1.

    Returns:
        Counts, correct answers and mean confidence of each bin.

    Raises:
        ValueError: the shapes do not belong together, or `bins` is below 1.
    """
    given = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(hit, dtype=np.bool_)
    if bins < 1:
        raise ValueError(f"bins={bins}: give at least 1")
    if given.ndim != 1 or right.shape != given.shape:
        raise ValueError(f"confidence {given.shape} and hit {right.shape}: give (rows,) for both")
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, given, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins).astype(np.int64)
    total = np.bincount(place, weights=given, minlength=bins)
    hits = np.bincount(place[right], minlength=bins).astype(np.int64)
    return Reliability(edges, counts, hits, _ratio(total, counts))


def expected_calibration_error(confidence: ArrayLike, hit: ArrayLike, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy, weighted by rows (Guo et al. 2017, eq. 3).

    Args:
        confidence: `(rows,)`, the probability of the most likely class.
        hit: bool `(rows,)`, whether that class is the true one.
        bins: number of bins of equal width between 0 and 1.

    Returns:
        The error as a fraction; NaN where there are no rows.

    Raises:
        ValueError: the shapes do not belong together, or `bins` is below 1.
    """
    return reliability(confidence, hit, bins).error


def _ratio(part: NDArray[np.generic], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Elementwise quotient as float64, NaN where the divisor is 0."""
    result = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
