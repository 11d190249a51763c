"""Scaling of each window by what it holds itself, undone on the forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

SCALINGS = ("last", "level", "mean", "standard", "raw")
# Of a deviation over the training rows: a window that varies less counts as constant.
_LEAST = 1e-3


def scaled(series: tf.Tensor, how: str) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A window shifted, and for `level` and `standard` divided by its deviation.

    Kim et al. 2022, "Reversible instance normalization for accurate time-series forecasting against
    distribution shift", without the affine part; `last` is the shift of Zeng et al. 2023, "Are
    Transformers effective for time series forecasting?", section 4 (NLinear).

    Args:
        series: `(batch, context, targets)`.
        how: one of `SCALINGS`.

    Returns:
        The scaled window, and shift and scale `(batch, 1, targets)`: a forecast times the scale
        plus the shift is in the unit of the series.
    """
    shift, scale = tf.zeros_like(series[:, :1]), tf.ones_like(series[:, :1])
    if how in ("last", "level"):
        shift = series[:, -1:]
    elif how in ("mean", "standard"):
        shift = tf.reduce_mean(series, 1, keepdims=True)
    if how in ("level", "standard"):
        scale = tf.maximum(tf.math.reduce_std(series, 1, keepdims=True), _LEAST)
    return (series - shift) / scale, shift, scale


def beside(inputs: Mapping[str, Any], steps: slice) -> tf.Tensor | None:
    """What else is known of some rows of a window, `(batch, steps, channels)`; None for nothing.

    Args:
        inputs: `future` and `calendar`, each of context and horizon, where there are such.
        steps: which of them.
    """
    known = [inputs[name][:, steps] for name in ("future", "calendar") if name in inputs]
    return tf.concat(known, -1) if known else None
