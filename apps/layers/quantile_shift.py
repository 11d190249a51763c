"""Calibration of quantiles on held-out rows."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

# A quantile is estimated from at least so many residuals.
_LEAST = 100


@keras.saving.register_keras_serializable("apps")
class QuantileShift(keras.layers.Layer):
    """Adds to each quantile what makes it as likely as its level says; nothing until calibrated.

    Romano, Patterson & Candès 2019, "Conformalized quantile regression", section 4, for each level
    by itself. The median is left alone.

    Call arguments:
        quantiles: `(batch, horizon, targets, levels)` float32, rising.

    Returns:
        The same shape, rising.
    """

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(
            shape=tuple(shape[1:]), initializer="zeros", trainable=False, name="shift"
        )

    def call(self, quantiles: Any) -> Any:
        return keras.ops.sort(quantiles + self.shift, -1)

    def of_next_row(self, quantiles: Any) -> Any:
        """The same for rows `(batch, rows, targets, levels)` each of which is one row ahead."""
        return keras.ops.sort(quantiles + self.shift[0], -1)

    def compute_output_spec(self, quantiles: Any) -> Any:
        return keras.KerasTensor(quantiles.shape)

    def calibrate(self, quantiles: np.ndarray, target: np.ndarray, levels: np.ndarray) -> None:
        """Choose what is added.

        Where there are few windows, one shift serves all rows of the horizon, then all targets.

        Args:
            quantiles: `(windows, horizon, targets, levels)`, before any shift.
            target: `(windows, horizon, targets)`, NaN where it is not known.
            levels: `(levels,)` probabilities.
        """
        residuals = target[..., None] - quantiles
        windows, horizon, targets, _ = residuals.shape
        shift = np.zeros(residuals.shape[1:])
        if windows >= _LEAST:
            places = np.ndindex(horizon, targets)
            groups = [(slice(h, h + 1), slice(c, c + 1)) for h, c in places]
        elif windows * horizon >= _LEAST:
            groups = [(slice(None), slice(c, c + 1)) for c in range(targets)]
        else:
            groups = [(slice(None), slice(None))]
        for rows, columns in groups:
            own = residuals[:, rows, columns].reshape(-1, len(levels))
            own = own[np.isfinite(own[:, 0])]
            shift[rows, columns] = _conformal(own, levels)
        self.shift.assign(shift)


def _conformal(residuals: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Of each level the residual that as large a share of them lies below, `(levels,)`."""
    count = len(residuals)
    found = np.zeros(len(levels))
    if not count:
        return found
    ordered = np.sort(residuals, 0)
    for number, level in enumerate(levels):
        if level == 0.5:
            continue
        # With one more, not yet seen, the share is kept on the side of the interval that is outer.
        rank = np.ceil((count + 1) * level) if level > 0.5 else np.floor((count + 1) * level)
        found[number] = ordered[int(np.clip(rank, 1, count)) - 1, number]
    return found
