"""What a window of quotes says: returns, ranges, volatility and where the price stands."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.outside import Outside
from apps.layers.untrained import Untrained

# Rows of a week and of a month of trading, over which Corsi's HAR takes means.
WEEK, MONTH = 5, 22
DAY = 86_400.0


@keras.saving.register_keras_serializable("apps")
class PriceFeatures(Untrained):
    """Features of each row of quotes, none of which knows a later row.

    There are the return and its size; the volatility of the row, of a week and of a month of rows;
    how far the price lies from its mean over a week and a month; where quotes have them, the
    returns overnight and within the day, the range, and where the close lies in it; the volume and
    its change; the day of the week or the time of the day; and covariates as they are.

    Args:
        channels: what the quotes are; their names are `targets` and those of covariates `past`.
        least: the smallest variance of a row, so that there is a logarithm of none.
        level: whether the level of the price itself is a feature.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        raw: `series` `(batch, rows, quotes)`, and where there are such `past` `(batch, rows,
            covariates)` and `time` `(batch, at least rows)`, float64.

    Returns:
        `(batch, rows - MONTH, features)` float64, without the first rows, before which too few are
        known.
    """

    def __init__(
        self, channels: Mapping[str, Any], least: float, level: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.channels, self.least, self.level = dict(channels), float(least), bool(level)

    @property
    def names(self) -> list[str]:
        """Names of the features, in their order."""
        given, step = self.channels["targets"], self.channels["step"]
        names = ["return", "size", "volatility", "week", "month", "from_week", "from_month"]
        if self.level:
            names.append("level")
        if "open" in given:
            names += ["overnight", "intraday"]
        if {"high", "low"} <= set(given):
            names += ["range", "place"]
        if "volume" in given:
            names += ["volume_change", "volume"]
        if step["dated"]:
            names += _DAYS if 0.5 * DAY <= step["size"] <= 4 * DAY else []
            names += _CLOCK if step["size"] < 0.5 * DAY else []
        return [*names, *self.channels["past"]]

    def call(self, raw: Mapping[str, Any]) -> Any:
        series = tf.cast(raw["series"], tf.float64)
        quotes = {name: series[..., i] for i, name in enumerate(self.channels["targets"])}
        level = tf.math.log(quotes["close"])
        returns = level[:, 1:] - level[:, :-1]
        variance = row_variance(quotes)
        rows = tf.shape(level)[1] - MONTH
        found = [
            returns,
            tf.abs(returns),
            *(self._volatility(_mean(variance, size)) for size in (1, WEEK, MONTH)),
            *(_from_mean(level, size) for size in (WEEK, MONTH)),
        ]
        if self.level:
            found.append(level)
        if "open" in quotes:
            opened = tf.math.log(quotes["open"])
            found += [opened[:, 1:] - level[:, :-1], level - opened]
        if {"high", "low"} <= set(quotes):
            high, low = tf.math.log(quotes["high"]), tf.math.log(quotes["low"])
            spread = high - low
            found.append(self._volatility(spread**2))
            found.append(tf.math.divide_no_nan(2 * level - high - low, spread))
        if "volume" in quotes:
            volume = tf.math.log(quotes["volume"] + 1.0)
            found += [volume[:, 1:] - volume[:, :-1], _from_mean(volume, MONTH)]
        if len(self.names) > len(found) + len(self.channels["past"]):
            found += self._moment(tf.cast(raw["time"], tf.float64)[:, : tf.shape(level)[1]])
        stacked = tf.stack([one[:, -rows:] for one in found], -1)
        if self.channels["past"]:
            past = tf.cast(raw["past"], tf.float64)[:, -rows:]
            stacked = tf.concat([stacked, past], -1)
        return stacked

    def _volatility(self, variance: tf.Tensor) -> tf.Tensor:
        return 0.5 * tf.math.log(variance + self.least)

    def _moment(self, time: tf.Tensor) -> list[tf.Tensor]:
        if "monday" in self.names:
            # 1970 began on a Thursday.
            day = tf.math.floormod(tf.floor(time / DAY) + 3, 7)
            return [tf.cast(tf.equal(day, number), tf.float64) for number in range(len(_DAYS))]
        angle = 2 * math.pi * tf.math.floormod(time / DAY, 1.0)
        return [tf.sin(angle), tf.cos(angle), tf.sin(2 * angle), tf.cos(2 * angle)]

    def compute_output_spec(self, raw: Mapping[str, Any]) -> Any:
        batch, rows = raw["series"].shape[:2]
        rows = None if rows is None else rows - MONTH
        return keras.KerasTensor((batch, rows, len(self.names)), dtype="float64")

    def of(self, raw: Mapping[str, np.ndarray]) -> np.ndarray:
        """What `call` makes of one window or series without a batch axis, outside the graph."""
        return np.asarray(self.call({name: value[None] for name, value in raw.items()}))[0]

    def outside(self) -> Outside:
        """What the features are."""
        return Outside(
            "features of quotes: the metadata's 'features' names them, in their order; they are "
            "logarithms of prices and of volatilities, differences of such, and covariates",
            metadata={"features": json.dumps(self.names, ensure_ascii=False)},
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("dtype", "trainable", "autocast"):
            config.pop(name, None)
        return {**config, "channels": self.channels, "least": self.least, "level": self.level}


_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday"]
_CLOCK = ["day_sine", "day_cosine", "half_day_sine", "half_day_cosine"]


def row_variance(quotes: Mapping[str, Any]) -> tf.Tensor:
    """The variance of each row's return but for the first row, estimated from that row alone.

    With open, high and low it is the squared return overnight plus the estimate of Garman & Klass
    1980, "On the estimation of security price volatilities from historical data"; with high and
    low, that of Parkinson 1980, "The extreme value method", on the range from the close before;
    else, and for a row without a range, the squared return.

    Args:
        quotes: name to prices `(batch, rows)`, `close` among them.

    Returns:
        `(batch, rows - 1)` float64.
    """
    logs = {n: tf.math.log(tf.cast(v, tf.float64)) for n, v in quotes.items() if n != "volume"}
    close, before = logs["close"][:, 1:], logs["close"][:, :-1]
    squared = (close - before) ** 2
    if not {"high", "low"} <= set(logs):
        return squared
    high, low = logs["high"][:, 1:], logs["low"][:, 1:]
    if "open" in logs:
        opened = logs["open"][:, 1:]
        inside = 0.5 * (high - low) ** 2 - (2 * math.log(2) - 1) * (close - opened) ** 2
        estimate = (opened - before) ** 2 + tf.maximum(inside, 0.0)
    else:
        spread = tf.maximum(high, before) - tf.minimum(low, before)
        estimate = spread**2 / (4 * math.log(2))
    return tf.where(high > low, estimate, squared)


def _mean(values: tf.Tensor, size: int) -> tf.Tensor:
    """Mean of each value and those before it, `(batch, rows - size + 1)` of `(batch, rows)`."""
    rows = tf.shape(values)[1] - size + 1
    total = values[:, :rows]
    for shift in range(1, size):
        total += values[:, shift : shift + rows]
    return total / size


def _from_mean(values: tf.Tensor, size: int) -> tf.Tensor:
    return values[:, size - 1 :] - _mean(values, size)
