"""What layers that turn texts into ids of tokens have in common."""

from __future__ import annotations

from typing import Any

import keras

# The first ids of a vocabulary: what fills a row up, what is not in it, and two that no text holds.
PAD, UNKNOWN, BEGIN, END = range(4)
FIRST_ID = 4
# What stands for an unknown token where it is not known what it stood for.
REPLACEMENT = "\ufffd"
# A word is the same at the beginning of a line as behind a space; in RE2's and Python's syntax.
LINE_START = r"(^|\n)([^\n])"


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
