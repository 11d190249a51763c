"""Sentences: texts as tokens that know where they stand, with their words, letters and case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from apps.components import Input
from apps.data import Examples, Sequences
from apps.data.kinds.sentence import sentence
from apps.errors import UserError
from apps.layers.token_features import TokenFeatures, folded_tokens

_EXCERPT = 2000


class Sentences(Input):
    """Texts as arrays with an entry for each token.

    The application's `adapt` makes the layer `tokens`, a `TokenFeatures` of
    `apps.layers.token_features`.

    Args:
        column: holds the texts.
    """

    passed_over = "without a word"
    aligned = ("characters", "casing", "starts", "ends")

    def __init__(self, column: str = "text") -> None:
        self.column = column
        self.columns = {column: sentence()}

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        rows = [row for row, text in enumerate(examples[self.column]) if text.strip()]
        if not rows:
            raise UserError(
                f"{examples.source}: every text is empty; give texts with words in them"
            )
        return examples.select(rows)

    def tensors(self, examples: Examples) -> dict[str, Any]:
        arrays, offsets = self._tokens.flat(examples[self.column])
        return {name: Sequences(values, offsets) for name, values in arrays.items()}

    @property
    def _tokens(self) -> TokenFeatures:
        return self.adapted["tokens"]

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        return {self.column: keras.Input((), dtype="string", name=self.column)}

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return self._tokens(raw[self.column])

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {self.column: np.array([str(text) for text in examples[self.column]], object)}

    def edge_cases(self) -> dict[str, np.ndarray]:
        """Nothing, space only, one mark, scripts without spaces, combining marks and symbols."""
        texts = [
            "",
            "  \n\u200b",
            ".",
            "日本語のテスト。 สวัสดี",
            "e\u0301 नमस्ते 👩\u200d💻 <br/>'\ufeff",
        ]
        return {self.column: np.array(texts, object)}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        """The text, and where the words stand that the training rows do not hold."""
        known = {*self._tokens.vocabulary}
        rows = folded_tokens(examples[self.column], letters=self._tokens.letters)
        return [
            {
                "input": str(text)[:_EXCERPT],
                "unseen": [
                    place.tolist()
                    for word, place in zip(words, places, strict=True)
                    if word not in known
                ],
            }
            for text, (words, places) in zip(examples[self.column], rows, strict=True)
        ]
