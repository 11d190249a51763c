"""What layers that learn nothing have in common."""

from __future__ import annotations

from typing import Any

import keras


class Untrained(keras.layers.Layer):
    """A layer that learns nothing, and whose inputs keep their types; weights are float32."""

    def __init__(self, **kwargs: Any) -> None:
        for name in ("dtype", "trainable"):
            kwargs.pop(name, None)
        super().__init__(trainable=False, dtype="float32", autocast=False, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: value for key, value in config.items() if key not in ("dtype", "trainable")}
