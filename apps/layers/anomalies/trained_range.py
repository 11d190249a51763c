"""How far sensors are from where the rows lay that a model has learnt from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.anomalies.error_tails import ErrorTails
from apps.layers.anomalies.recurrences import smoothed
from apps.layers.untrained import Untrained

STATE = "state_range"
# So many decimal orders beyond all training rows are what held-out rows tell the range by, and the
# largest share of them that may be there.
_RARE, _MOST_ROWS = 3.0, 0.02
# Rows over which values are smoothed.
_SMOOTHED = 6
# Of the correlations, by how much they are drawn to none.
_SHRUNK = 0.02
_FAR = 1e9
# Of the rarity of a channel that is not to blame.
_SHARED = 0.9
# A sensor whose deviation is a smaller share of that of all lies in a range of its own.
_LEAST_SHARE, _MOST_SERIES = 0.2, 0.8
# Rows that are looked at in one go.
_ROWS = 20_000


@keras.saving.register_keras_serializable("apps")
class TrainedRange(Untrained):
    """How rare it was among the training rows that a sensor lay so far from its mean.

    Values are smoothed over about 6 rows and judged twice: each channel by itself, and each by what
    the others let expect of it, which is the residual of its linear regression on them (the row of
    the inverse correlation matrix: Lauritzen 1996, "Graphical models", section 5.1).

    Args:
        channels: sensors.

    Call arguments:
        surprise: `(batch, rows, channels)` float32, another score.
        series: likewise, float64, NaN for holes.
        lengths: `(batch,)` int32, rows of each.
        state: `(batch, channels)` float64, smoothed values; zeros at the beginning.
        training: whether nothing is scored.

    Returns:
        `surprise`, the larger one of the other score and `factor` times its own, which is 0 as long
        as the range is not used; `rarity`, its own; both `(batch, rows, channels)` float32; and the
        next state.
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.tails = ErrorTails(2 * channels, name="tails")

    def build(self, *shapes: Any) -> None:
        c = self.channels

        def constant(name: str, start: str, *shape: int) -> Any:
            return self.add_weight(
                shape=shape, initializer=start, trainable=False, dtype="float64", name=name
            )

        self.factor = constant("factor", "zeros")
        self.mean, self.deviation = constant("mean", "zeros", c), constant("deviation", "ones", c)
        self.precision = constant("precision", "zeros", c, c)
        self.tails.build()

    def call(
        self,
        surprise: tf.Tensor,
        series: tf.Tensor,
        lengths: tf.Tensor,
        state: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        if training:
            return surprise, tf.zeros_like(surprise), state
        real = tf.sequence_mask(lengths, tf.shape(series)[1])
        distances, there, smooth = self._distances(series, real, state)
        alone, others = tf.split(self.tails(distances, there), 2, -1)
        own = tf.maximum(alone, self._blamed(others, smooth))
        return tf.maximum(surprise, tf.cast(self.factor[...], tf.float32) * own), own, smooth[:, -1]

    def _distances(
        self, series: tf.Tensor, real: tf.Tensor, state: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        there = tf.math.is_finite(series) & real[..., None]
        scaled = tf.where(there, (series - self.mean) / self.deviation, tf.zeros_like(series))
        scaled = smoothed(tf.clip_by_value(scaled, -_FAR, _FAR), there, _SMOOTHED, state)
        others = tf.tensordot(scaled, self.precision[...], 1)
        others /= tf.sqrt(tf.maximum(tf.linalg.diag_part(self.precision[...]), 1e-12))
        whole = there & tf.reduce_all(there, -1, keepdims=True)
        return tf.abs(tf.concat([scaled, others], -1)), tf.concat([there, whole], -1), scaled

    def _blamed(self, rarity: tf.Tensor, smooth: tf.Tensor) -> tf.Tensor:
        """The largest rarity of each row at the channel that adds most to the distance of all.

        What one channel shows is unexpected to those that it is related to as well.
        """
        adds = smooth * tf.tensordot(smooth, self.precision[...], 1)
        most = tf.one_hot(tf.argmax(adds, -1), self.channels, dtype=rarity.dtype)
        highest = tf.reduce_max(rarity, -1, keepdims=True)
        return tf.maximum(most * highest, _SHARED * rarity)

    def adapt(self, series: Iterable[np.ndarray]) -> None:
        """Take means, correlations and the largest distances from training rows.

        Args:
            series: `(rows, channels)` float64 each, NaN for holes and for rows that do not count.
        """
        pieces = [one for one in series if len(one)]
        rows = np.concatenate(pieces)
        mean, deviation = np.nanmean(rows, 0), np.nanstd(rows, 0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        self.mean.assign(mean)
        self.deviation.assign(deviation)
        scaled = (rows - mean) / deviation
        whole = scaled[np.isfinite(scaled).all(-1)]
        related = np.eye(self.channels)
        if len(whole) > 2 * self.channels:
            related = (1 - _SHRUNK) * (whole.T @ whole / len(whole)) + _SHRUNK * related
        self.precision.assign(np.linalg.inv(related))
        for piece in pieces:
            state = tf.zeros([1, self.channels], tf.float64)
            for start in range(0, len(piece), _ROWS):
                part = tf.constant(piece[None, start : start + _ROWS])
                distances, there, state = self._distances(
                    part, tf.ones(part.shape[:2], bool), state
                )
                self.tails.observe(distances.numpy()[0], there.numpy()[0])

    def holds(self, rarity: np.ndarray) -> bool:
        """Whether held-out rows are in the range of the training rows, `(rows,)` rarity of each."""
        rare = _RARE + np.log10(2 * self.channels)
        return rarity.size > 0 and float((rarity >= rare).mean()) <= _MOST_ROWS

    def compute_output_spec(
        self, surprise: Any, series: Any, lengths: Any, state: Any, training: bool = False
    ) -> tuple[Any, Any, Any]:
        own = keras.KerasTensor(surprise.shape, dtype="float32")
        after = keras.KerasTensor((series.shape[0], self.channels), dtype="float64")
        return own, keras.KerasTensor(surprise.shape, dtype="float32"), after

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}


def of_one_kind(series: Iterable[np.ndarray]) -> bool:
    """Whether sensors vary over one range, so that what is usual to all is so to each.

    Args:
        series: `(rows, channels)` each, NaN for holes.
    """
    pieces = [one for one in series if np.isfinite(one).any()]
    if len(pieces) < 2:
        return bool(pieces)
    whole = np.nanstd(np.concatenate(pieces), 0)
    shares = []
    for one in pieces:
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.nanstd(one, 0) / whole
        shares.append(float(np.nanmedian(share)))
    return float(np.mean(np.array(shares) > _LEAST_SHARE)) > _MOST_SERIES
