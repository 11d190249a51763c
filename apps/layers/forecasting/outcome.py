"""Quantiles of one number as a centre, a scale and a shape: a linear part, and what LSTMs add."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.layers.stack import LSTMStack

_ARGUMENTS = (
    *("levels", "units", "depth", "input_dropout", "layer_dropout", "weight_dropout"),
    *("output_dropout", "seed"),
)
# Standard deviations beyond which a feature says no more.
_WIDEST = 3.0
# Of the logarithm of a scale.
_LARGEST = 6.0
_RIDGE, _LEAST_ERROR = 0.01, 0.05


class Start(NamedTuple):
    """Where training begins: weights of the linear part.

    Attributes:
        centre, scale: `(features + 1,)`, the constant last; of the logarithm of the scale.
        shape: `(levels,)` quantiles of what is left.
    """

    centre: np.ndarray
    scale: np.ndarray
    shape: np.ndarray


def linear_start(features: np.ndarray, target: np.ndarray, levels: Sequence[float]) -> Start:
    """The least-squares centre, scale and shape, slightly ridged.

    With a volatility, and its means over a week and a month, among the features this is HAR.

    Args:
        features: `(windows, features)` of the last row of each window, standardised.
        target: `(windows,)`; NaN where it is not known.
        levels: probabilities.
    """
    known = np.isfinite(target)
    clipped = np.clip(np.asarray(features, np.float64)[known], -_WIDEST, _WIDEST)
    design = np.concatenate([clipped, np.ones((len(clipped), 1))], 1)
    penalty = _RIDGE * len(design) * np.eye(design.shape[1])
    penalty[-1, -1] = 1e-9
    inverse = np.linalg.inv(design.T @ design + penalty) @ design.T
    wanted = np.asarray(target, np.float64)[known]
    centre = inverse @ wanted
    rest = wanted - design @ centre
    scale = inverse @ np.log(np.abs(rest) + _LEAST_ERROR)
    return Start(centre, scale, np.quantile(rest / np.exp(design @ scale), levels))


@keras.saving.register_keras_serializable("apps")
class OutcomeForecaster(keras.layers.Layer):
    """Reads features row by row, and says quantiles of one number at the end.

    They are `centre + scale * shape`. Centre and logarithm of the scale are linear in the last
    row, plus what an LSTM over all rows makes of it, which also bends the shape; training begins
    with the linear part alone.

    Args:
        levels: probabilities of the quantiles.
        units: width of every LSTM, or one width for each layer.
        depth: layers.
        input_dropout: share of what the first LSTM reads dropped.
        layer_dropout: share of the outputs dropped between layers.
        weight_dropout: share of the recurrent kernels' entries dropped.
        output_dropout: share of the last state dropped.
        seed: of weights and dropout.

    Call arguments:
        features: `(batch, rows, features)` float32, standardised.
        training: whether dropout applies.

    Returns:
        Quantiles `(batch, 1, 1, levels)`, rising.
    """

    def __init__(
        self,
        levels: Sequence[float],
        *,
        units: int | Sequence[int],
        depth: int = 1,
        input_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        output_dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.levels = list(levels)
        self.units, self.depth, self.seed = units, depth, seed
        self.input_dropout, self.layer_dropout = input_dropout, layer_dropout
        self.weight_dropout, self.output_dropout = weight_dropout, output_dropout
        seeds = itertools.count(seed)
        self.stack = LSTMStack(
            units,
            depth,
            input_dropout=input_dropout,
            dropout=layer_dropout,
            weight_dropout=weight_dropout,
            return_sequences=False,
            seed=next(seeds) + 100,
            name="lstm",
        )
        self.drop = keras.layers.Dropout(output_dropout, seed=next(seeds), name="drop")
        self.added = keras.layers.Dense(
            2 + len(self.levels), kernel_initializer="zeros", name="added"
        )

    def build(self, shape: Any) -> None:
        def weight(size: int, name: str) -> Any:
            return self.add_weight(shape=(size,), initializer="zeros", name=name)

        width = shape[-1] + 1
        self.centre, self.scale = weight(width, "centre"), weight(width, "scale")
        self.shape = weight(len(self.levels), "shape")
        self.stack.build((None, None, shape[-1]))
        self.added.build((None, self.stack.units[-1]))

    def begin(self, start: Start) -> None:
        """Take the weights of the linear part."""
        for own, given in zip((self.centre, self.scale, self.shape), start, strict=True):
            own.assign(given)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        features = tf.clip_by_value(features, -_WIDEST, _WIDEST)
        state = self.drop(self.stack(features, training=training), training=training)
        added = self.added(state)
        last = features[:, -1]
        last = tf.concat([last, tf.ones_like(last[:, :1])], -1)
        centre, logarithm = (
            tf.linalg.matvec(last, tf.convert_to_tensor(weights))[:, None]
            for weights in (self.centre, self.scale)
        )
        scale = tf.exp(tf.clip_by_value(logarithm + added[:, 1:2], -_LARGEST, _LARGEST))
        quantiles = centre + scale * (added[:, :1] + self.shape + added[:, 2:])
        return tf.sort(quantiles)[:, None, None]

    def compute_output_spec(self, features: Any, training: bool = False) -> Any:
        return keras.KerasTensor((features.shape[0], 1, 1, len(self.levels)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in _ARGUMENTS}}
