"""Quantiles of one number as a centre, a scale and a shape: a linear part, and what LSTMs add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.layers.recurrent_network import RecurrentNetwork

# Standard deviations beyond which a feature says no more.
_WIDEST = 3.0
# Of the logarithm of a scale.
_LARGEST = 6.0
_LEAST_ERROR = 0.05
# Ridges, as shares of the rows, among which stretches of time that are left out choose.
_RIDGES, _FOLDS = (0.003, 0.03, 0.3, 3.0, 30.0), 4
# Of features that HAR has.
_LEAST_RIDGE = 1e-3


class Start(NamedTuple):
    """Where training begins: weights of the linear part.

    Attributes:
        centre, scale: `(features + 1,)`, the constant last; of the logarithm of the scale.
        shape: `(levels,)` quantiles of what is left.
    """

    centre: np.ndarray
    scale: np.ndarray
    shape: np.ndarray


@dataclass(frozen=True, eq=False)
class LinearStart:
    """Least-squares centre, scale and shape, ridged as much as suits rows that are left out.

    Attributes:
        features: `(windows, features)` of the last row of each window, standardised, in the order
            of time.
        target: `(windows,)`, known.
        levels: `(levels,)` probabilities.
        centre, scale: numbers of the features that hardly pay for their weights: those of HAR,
            which is then what is fitted where the others say nothing.
        spread: `(windows,)` logarithm of how far a target may have been off, where something
            better is known than how far it was.
    """

    features: np.ndarray
    target: np.ndarray
    levels: np.ndarray
    centre: Sequence[int] = ()
    scale: Sequence[int] = ()
    spread: np.ndarray | None = None

    def fitted(self) -> Start:
        """The weights, with the ridges that are best on stretches that are left out."""
        rows = len(self.target)
        pairs = [(centre, scale) for centre in _RIDGES for scale in _RIDGES]
        losses = np.zeros(len(pairs))
        for part in np.array_split(np.arange(rows), _FOLDS):
            others = np.ones(rows, bool)
            others[part] = False
            for number, ridges in enumerate(pairs):
                losses[number] += self._loss(part, self._fit(others, *ridges))
        return self._fit(np.ones(rows, bool), *pairs[int(np.argmin(losses))])

    @cached_property
    def _design(self) -> np.ndarray:
        clipped = np.clip(np.asarray(self.features, np.float64), -_WIDEST, _WIDEST)
        return np.concatenate([clipped, np.ones((len(clipped), 1))], 1)

    def _fit(self, rows: np.ndarray, centre_ridge: float, scale_ridge: float) -> Start:
        design, target = self._design[rows], self.target[rows]
        centre = _solved(design, target, centre_ridge, self.centre)
        rest = target - design @ centre
        wanted = np.log(np.abs(rest) + _LEAST_ERROR)
        if self.spread is not None:
            wanted = self.spread[rows]
        scale = _solved(design, wanted, scale_ridge, self.scale)
        shape = np.quantile(rest / np.exp(design @ scale), self.levels)
        # What the LSTMs add to the shape is of the size of 1.
        size = max(float(np.abs(shape).mean()), 1e-6)
        scale[-1] += np.log(size)
        return Start(centre, scale, shape / size)

    def _loss(self, rows: np.ndarray, start: Start) -> float:
        design = self._design[rows]
        quantiles = (design @ start.centre)[:, None]
        quantiles = quantiles + np.exp(design @ start.scale)[:, None] * start.shape
        difference = self.target[rows, None] - quantiles
        return float(
            np.maximum(self.levels * difference, (self.levels - 1) * difference).mean(1).sum()
        )


def _solved(
    design: np.ndarray, wanted: np.ndarray, ridge: float, cheap: Sequence[int]
) -> np.ndarray:
    """Weights with the least squares and a penalty on all but the constant, the last one."""
    penalty = np.full(design.shape[1], ridge)
    penalty[list(cheap)] = _LEAST_RIDGE
    penalty[-1] = 1e-9
    square = design.T @ design + len(design) * np.diag(penalty)
    return np.linalg.solve(square, design.T @ wanted)


@keras.saving.register_keras_serializable("apps")
class OutcomeForecaster(RecurrentNetwork):
    """Reads features row by row, and says quantiles of one number at the end.

    They are `centre + scale * shape`. Centre and logarithm of the scale are linear in the last
    row, plus what an LSTM over all rows makes of it, which also bends the shape; training begins
    with the linear part alone.

    Args:
        levels: probabilities of the quantiles.
        **given: arguments of `RecurrentNetwork`.

    Call arguments:
        features: `(batch, rows, features)` float32, standardised.
        training: whether dropout applies.

    Returns:
        Quantiles `(batch, 1, 1, levels)`, rising.
    """

    arguments: ClassVar[tuple[str, ...]] = ("levels",)

    def __init__(self, levels: Sequence[float], **given: Any) -> None:
        super().__init__(**given)
        self.levels = list(levels)
        self.stack = self._lstms(next(self._seeds) + 100, return_sequences=False)
        drop = self.output_dropout
        self.drop = keras.layers.Dropout(drop, seed=next(self._seeds), name="drop")
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
