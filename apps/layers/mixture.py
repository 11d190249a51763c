"""A weighted sum of the logits of several models, with weights chosen on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import log_softmax

# Of a normal prior of the weights about those that it begins with, which keeps a handful of rows
# from deciding.
_DEVIATION = 0.5


@keras.saving.register_keras_serializable("apps")
class Mixture(keras.layers.Layer):
    """The weighted sum of logits `(batch, classes)`.

    Args:
        first: the weight of each part until others are chosen.
        apart: whether the first part learns alone, as if there were no others.
    """

    def __init__(self, first: Sequence[float], *, apart: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.first = tuple(first)
        self.apart = apart
        self.supports_masking = True
        self.shares = self.add_weight(shape=(len(self.first),), name="shares")
        self.shares.assign(self.first)

    def call(self, logits: Sequence[tf.Tensor], training: bool = False) -> tf.Tensor:
        if training and self.apart:
            return tf.cast(logits[0], self.compute_dtype)
        shares = tf.unstack(self.shares.value, len(self.first))
        return tf.add_n([share * part for share, part in zip(shares, logits, strict=True)])

    def compute_mask(self, logits: Any, mask: Any = None) -> None:
        return None

    def compute_output_spec(
        self, logits: Sequence[keras.KerasTensor], training: bool = False
    ) -> keras.KerasTensor:
        return keras.KerasTensor(logits[0].shape, dtype="float32")

    def choose(self, logits: np.ndarray, targets: np.ndarray, *, fitted: bool) -> np.ndarray:
        """Set the weights to those with the least cross-entropy on held-out rows.

        Candidates are the weights that it begins with, each part alone and, if that is asked for,
        those of a logistic regression on the logits (Wolpert 1992, "Stacked generalization") with a
        prior.

        Args:
            logits: of each part, `(parts, rows, classes)`.
            targets: `(rows,)`, indices of classes.
            fitted: whether the last kind counts.

        Returns:
            The weights, `(parts,)`.
        """
        rows, first = np.arange(len(targets)), np.array(self.first)

        def loss(shares: np.ndarray) -> float:
            mixed = np.tensordot(shares, logits, 1)
            return -float(log_softmax(mixed, -1)[rows, targets].mean())

        def penalised(shares: np.ndarray) -> float:
            prior = float(((shares - first) ** 2).sum()) / (2 * _DEVIATION**2)
            return loss(shares) + prior / len(targets)

        candidates = [first, *np.eye(len(first))]
        if fitted:
            found = minimize(penalised, first, bounds=[(0.0, None)] * len(first))
            candidates.append(found.x)
        chosen = min(candidates, key=loss)
        self.shares.assign(chosen)
        return chosen

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "first": self.first, "apart": self.apart}
