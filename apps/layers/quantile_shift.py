"""Calibration of intervals on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# An interval is calibrated on at least so many values.
_LEAST = 100


@keras.saving.register_keras_serializable("apps")
class QuantileShift(keras.layers.Layer):
    """Widens or narrows intervals until they cover what their levels say; nothing until calibrated.

    Romano, Patterson & Candès 2019, "Conformalized quantile regression", section 4: both `ends` of
    an interval move by the same amount, and the median stays; or `each` quantile moves by itself,
    the median too. No quantile passes the median.

    Args:
        levels: probabilities, the median's among them.

    Call arguments:
        quantiles: `(batch, horizon, targets, levels)` float32, rising.

    Returns:
        The same shape, rising.
    """

    def __init__(self, levels: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = list(levels)
        self._middle = self.levels.index(0.5)

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(
            shape=tuple(shape[1:]), initializer="zeros", trainable=False, name="shift"
        )

    def call(self, quantiles: Any) -> Any:
        return self._moved(quantiles, self.shift)

    def of_next_row(self, quantiles: Any) -> Any:
        """The same for rows `(batch, rows, targets, levels)` each of which is one row ahead."""
        return self._moved(quantiles, self.shift[0])

    def _moved(self, quantiles: Any, shift: Any) -> Any:
        ops, moved, middle = keras.ops, quantiles + shift, self._middle
        median = moved[..., middle : middle + 1]
        below = ops.sort(ops.minimum(moved[..., :middle], median), -1)
        above = ops.sort(ops.maximum(moved[..., middle + 1 :], median), -1)
        return ops.concatenate([below, median, above], -1)

    def compute_output_spec(self, quantiles: Any) -> Any:
        return keras.KerasTensor(quantiles.shape)

    def calibrate(self, quantiles: np.ndarray, target: np.ndarray, how: str = "ends") -> None:
        """Choose how far the quantiles move.

        Where there are few windows, all rows of the horizon move alike, then all targets.

        Args:
            quantiles: `(windows, horizon, targets, levels)`, not moved.
            target: `(windows, horizon, targets)`, NaN where it is not known.
            how: `ends` or `each`.
        """
        moves = {"ends": self._ends, "each": self._each}[how]
        windows, horizon, targets, _ = quantiles.shape
        shift = np.zeros(quantiles.shape[1:])
        if windows >= _LEAST:
            places = np.ndindex(horizon, targets)
            groups = [(slice(h, h + 1), slice(c, c + 1)) for h, c in places]
        elif windows * horizon >= _LEAST:
            groups = [(slice(None), slice(c, c + 1)) for c in range(targets)]
        else:
            groups = [(slice(None), slice(None))]
        for rows, columns in groups:
            values = target[:, rows, columns].ravel()
            known = np.isfinite(values)
            said = quantiles[:, rows, columns].reshape(-1, len(self.levels))
            shift[rows, columns] = moves(said[known], values[known])
        self.shift.assign(shift)

    def reset(self) -> None:
        """Leave the quantiles as they are."""
        self.shift.assign(np.zeros(self.shift.shape))

    def _ends(self, said: np.ndarray, values: np.ndarray) -> np.ndarray:
        """What is added to each quantile, `(levels,)`; one without a counterpart moves alone."""
        found = np.zeros(len(self.levels))
        for number, level in enumerate(self.levels):
            if level == 0.5 or not len(values):
                continue
            side = 1.0 if level > 0.5 else -1.0
            beyond = side * (values - said[:, number])
            share = level if level > 0.5 else 1 - level
            other = int(np.argmin(np.abs(np.array(self.levels) - (1 - level))))
            if abs(self.levels[other] - (1 - level)) < 1e-9:
                beyond = np.maximum(beyond, side * (said[:, other] - values))
                share = 2 * share - 1
            rank = int(np.ceil((len(values) + 1) * share))
            found[number] = side * np.sort(beyond)[min(rank, len(values)) - 1]
        return found

    def _each(self, said: np.ndarray, values: np.ndarray) -> np.ndarray:
        """What is added to each quantile so that its share of values lies below, `(levels,)`."""
        if not len(values):
            return np.zeros(len(self.levels))
        beyond = np.sort(values[:, None] - said, 0)
        levels, count = np.array(self.levels), len(values)
        # With one more, not yet seen, the share is kept on the side that is outer.
        outer = np.where(
            levels > 0.5, np.ceil((count + 1) * levels), np.floor((count + 1) * levels)
        )
        rank = np.clip(np.where(levels == 0.5, np.ceil(count * levels), outer), 1, count)
        return beyond[rank.astype(int) - 1, np.arange(len(levels))]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}
