"""State at the beginning of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.untrained import Untrained


@keras.saving.register_keras_serializable("apps")
class BeginningState(Untrained):
    """Zeros `(batch, …)`, a row for each row of the tensor that it is called with.

    Args:
        shape: of a row.
        dtype: of the elements.
    """

    def __init__(self, shape: Sequence[int], dtype: str = "float32", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape, self.state_dtype = tuple(shape), dtype

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.zeros([tf.shape(rows)[0], *self.shape], self.state_dtype)

    def compute_output_spec(self, rows: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((rows.shape[0], *self.shape), dtype=self.state_dtype)

    def outside(self) -> None:
        """Nothing."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shape": list(self.shape), "dtype": self.state_dtype}
