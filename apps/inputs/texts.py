"""Texts: one a unit, of any length and script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from apps.components import Input
from apps.data import Examples, Sequences
from apps.data.kinds.text import text as text_column
from apps.errors import UserError

_EXCERPT = 600


class Texts(Input):
    """Texts as ids of words.

    The application's `adapt` makes the layer that turns texts `(batch,)` string into `ids`
    `(batch, time)` int32 and `lengths` `(batch,)` int32, an `apps.layers.text.WordIds`.

    Args:
        column: holds the texts.
        words: name of that layer.
    """

    passed_over = "empty"

    def __init__(self, column: str = "text", words: str = "words") -> None:
        self.column, self.words = column, words
        self.columns = {column: text_column()}

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        rows = [row for row, text in enumerate(examples[self.column]) if text.strip()]
        if not rows:
            raise UserError(
                f"{examples.source}: every text is empty; give texts with words in them"
            )
        return examples.select(rows)

    def tensors(self, examples: Examples) -> dict[str, Any]:
        return {"ids": Sequences(*self.adapted[self.words].flat(examples[self.column]))}

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        return {self.column: keras.Input((), dtype="string", name=self.column)}

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return self.adapted[self.words](raw[self.column])

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {self.column: np.array(examples[self.column], object)}

    def step_names(self, units: Examples, prepared: Mapping[str, Any], steps: int) -> list[str]:
        layer = self.adapted[self.words]
        found = layer.words_of(units[self.column][0]) if hasattr(layer, "words_of") else []
        return found if len(found) == steps else super().step_names(units, prepared, steps)

    def edge_cases(self) -> dict[str, np.ndarray]:
        """An empty text, white space only, and scripts, marks and symbols of many kinds."""
        texts = ["", "  \n", "Ünïcödé – 日本語 🙂 <br/>'\u200b\ufeff"]
        return {self.column: np.array(texts, object)}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        return [{"input": text[:_EXCERPT]} for text in examples[self.column]]
