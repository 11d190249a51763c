"""What the calendar says of a moment, and how it is written, with TensorFlow's own operations."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.outside import Outside
from apps.layers.untrained import Untrained

# Seconds. The year is the mean one of the Gregorian calendar; weeks begin on Thursday, as 1970 did.
PERIODS = {"day": 86_400.0, "week": 604_800.0, "year": 31_556_952.0}


def periods_of(step: float) -> list[str]:
    """The periods that rows so many seconds apart can show: at least four rows in each."""
    return [name for name, seconds in PERIODS.items() if 4 * step <= seconds]


@keras.saving.register_keras_serializable("apps")
class Calendar(Untrained):
    """Where in the day, the week and the year a moment lies, as points on circles.

    Args:
        periods: names among `PERIODS`.

    Call arguments:
        time: seconds since 1970, `(batch, steps)` float64.

    Returns:
        Sine and cosine for each period, `(batch, steps, 2 * periods)` float32.
    """

    def __init__(self, periods: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.periods = list(periods)

    def call(self, time: tf.Tensor) -> tf.Tensor:
        found = []
        for name in self.periods:
            angle = 2 * math.pi * tf.math.floormod(time / PERIODS[name], 1.0)
            found += [tf.sin(angle), tf.cos(angle)]
        return tf.cast(tf.stack(found, -1), tf.float32)

    def compute_output_spec(self, time: Any) -> Any:
        return keras.KerasTensor((*time.shape, 2 * len(self.periods)), dtype="float32")

    def of(self, time: np.ndarray) -> np.ndarray:
        """What `call` makes of times, outside the graph."""
        found = []
        for name in self.periods:
            angle = 2 * math.pi * np.mod(time / PERIODS[name], 1.0)
            found += [np.sin(angle), np.cos(angle)]
        return np.stack(found, -1).astype(np.float32)

    def outside(self) -> Outside:
        """How the points follow from a time."""
        return Outside(
            "'calendar' holds, for each period of the metadata's 'periods' (seconds by name), sine "
            "and cosine of 2 π (time mod period) / period, time being seconds since 1970",
            metadata={"periods": json.dumps({name: PERIODS[name] for name in self.periods})},
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "periods": self.periods}


def time_text(time: tf.Tensor, *, day_only: bool = False) -> tf.Tensor:
    """Moments as ISO 8601 writes them.

    The Gregorian date follows from the number of the day by whole numbers alone, years beginning in
    March (Hinnant 2013, "chrono-compatible low-level date algorithms", `civil_from_days`).

    Args:
        time: seconds since 1970, of any shape.
        day_only: whether the date alone is written, without a time of the day.

    Returns:
        Texts of the same shape.
    """
    time = tf.cast(time, tf.int64)
    days, seconds = time // 86_400, tf.math.floormod(time, 86_400)
    # Day 0 is the first of March of the year 0; 400 years have 146,097 days.
    days += 719_468
    era, day = days // 146_097, tf.math.floormod(days, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month = tf.where(month < 10, month + 3, month - 9)
    year += 400 * era + tf.cast(month <= 2, tf.int64)
    date = [_digits(year, 4), "-", _digits(month, 2), "-", _digits(day + 1, 2)]
    if not day_only:
        date += ["T", _digits(seconds // 3600, 2), ":", _digits(seconds // 60 % 60, 2)]
        date += [":", _digits(seconds % 60, 2)]
    return tf.strings.join(date)


def _digits(numbers: tf.Tensor, width: int) -> tf.Tensor:
    return tf.strings.as_string(numbers, width=width, fill="0")
