"""From a model's outputs to named forecasts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.calendar import time_text
from apps.layers.outside import Outside
from apps.layers.untrained import Untrained


@keras.saving.register_keras_serializable("apps")
class ForecastAnswers(Untrained):
    """Standardised quantiles `(batch, horizon, targets, levels)` to named answers.

    `forecast` is the median `(batch, horizon, targets)` and `quantiles` `(batch, horizon, targets,
    levels)`, float64 in the unit of the data; `targets` and `levels` name the last two axes; `time`
    `(batch, horizon)` are texts, where rows are dated.

    Args:
        targets: names.
        levels: probabilities of the quantiles.
        means, deviations: of the targets in the training rows.
        day_only: whether dates are written without a time of the day.
    """

    def __init__(
        self,
        targets: Sequence[str],
        levels: Sequence[float],
        means: Sequence[float],
        deviations: Sequence[float],
        *,
        day_only: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.targets, self.levels = list(targets), list(levels)
        self.means, self.deviations = list(means), list(deviations)
        self.day_only = day_only

    def call(self, quantiles: tf.Tensor, time: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        deviations, means = (
            tf.reshape(tf.constant(values, tf.float64), [1, 1, -1, 1])
            for values in (self.deviations, self.means)
        )
        quantiles = tf.cast(quantiles, tf.float64) * deviations + means
        batch, horizon = tf.shape(quantiles)[0], tf.shape(quantiles)[1]
        found = {
            "forecast": quantiles[..., self.levels.index(0.5)],
            "quantiles": quantiles,
            "targets": tf.tile(tf.constant(self.targets)[None], [batch, 1]),
            "levels": tf.tile(tf.constant(self.levels, tf.float64)[None], [batch, 1]),
        }
        if time is not None:
            found["time"] = time_text(
                time[:, tf.shape(time)[1] - horizon :], day_only=self.day_only
            )
        return found

    def compute_output_spec(self, quantiles: Any, time: Any = None) -> dict[str, Any]:
        batch, horizon = quantiles.shape[:2]
        found = {
            "forecast": keras.KerasTensor(quantiles.shape[:3], dtype="float64"),
            "quantiles": keras.KerasTensor(quantiles.shape, dtype="float64"),
            "targets": keras.KerasTensor((batch, len(self.targets)), dtype="string"),
            "levels": keras.KerasTensor((batch, len(self.levels)), dtype="float64"),
        }
        if time is not None:
            found["time"] = keras.KerasTensor((batch, horizon), dtype="string")
        return found

    def outside(self) -> Outside:
        """Names, and the unit of the data."""
        return Outside(
            "names and units: 'outputs' has an axis of the metadata's 'targets', then one of its "
            "'levels'; times a target's deviation plus its mean it is in the unit of the data",
            metadata={
                "targets": json.dumps(self.targets, ensure_ascii=False),
                "levels": json.dumps(self.levels),
            },
        )

    def get_config(self) -> dict[str, Any]:
        names = ("targets", "levels", "means", "deviations", "day_only")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
