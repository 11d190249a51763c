"""The channels of sensors, and rows as a network takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.outside import Outside
from apps.layers.untrained import Untrained


@keras.saving.register_keras_serializable("apps")
class ChannelNames(Untrained):
    """Rows of sensors with their number; what is nothing but holes at the end counts as no row.

    Args:
        channels: what the numbers are, as `apps.data.panels.series.Channels.to_dict` gives it.
        steps: the steps of the sensors that were learnt from, fields of `Step`.

    Call arguments:
        raw: `series` `(batch, rows, channels)` float64, NaN for holes, and `time` `(batch, rows)`
            where rows are dated.

    Returns:
        The same and one row more, without a value, and `lengths` `(batch,)` int32.
    """

    def __init__(
        self, channels: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.steps = dict(channels), [dict(one) for one in steps]

    def call(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        # A request without rows is answered too.
        hole = tf.constant(float("nan"), tf.float64)
        series = tf.pad(raw["series"], [[0, 0], [0, 1], [0, 0]], constant_values=hole)
        there = tf.reduce_any(tf.math.is_finite(series), -1)
        number = tf.range(1, tf.shape(series)[1] + 1)[None]
        found = {"series": series, "lengths": tf.reduce_max(tf.where(there, number, 0), 1)}
        if "time" in raw:
            found["time"] = tf.pad(raw["time"], [[0, 0], [0, 1]])
        return found

    def compute_output_spec(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        batch, _, channels = raw["series"].shape
        found = {
            "series": keras.KerasTensor((batch, None, channels), dtype="float64"),
            "lengths": keras.KerasTensor((batch,), dtype="int32"),
        }
        if "time" in raw:
            found["time"] = keras.KerasTensor((batch, None), dtype="float64")
        return found

    def outside(self) -> Outside:
        """What the numbers are."""
        return Outside(
            "'series' holds the channels of the metadata's 'channels' in their order, NaN where "
            "there is no value; 'lengths' says how many rows of each are real",
            metadata={"channels": json.dumps(self.channels, ensure_ascii=False)},
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels, "steps": self.steps}
