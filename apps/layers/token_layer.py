"""What layers that turn texts into ids of tokens have in common."""

from __future__ import annotations

from typing import Any

import keras


class TokenLayer(keras.layers.Layer):
    """Texts `(batch,)` string to `{"ids": (batch, time) int32, "lengths": (batch,) int32}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, **kwargs})

    def compute_output_spec(self, texts: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        batch = texts.shape[0]
        return {
            "ids": keras.KerasTensor((batch, None), dtype="int32"),
            "lengths": keras.KerasTensor((batch,), dtype="int32"),
        }
