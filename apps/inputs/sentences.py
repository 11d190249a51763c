"""Sentences: texts as tokens that know where they stand, with their words, letters and case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.data import Examples, Sequences
from apps.data.kinds.sentence import sentence
from apps.inputs.texts import Texts
from apps.layers.token_features import TokenFeatures, folded_tokens

_EXCERPT = 2000


class Sentences(Texts):
    """Texts as arrays with an entry for each token.

    The application's `adapt` makes the layer `tokens`, a `TokenFeatures` of
    `apps.layers.token_features`.

    Args:
        column: holds the texts.
    """

    passed_over = "without a word"
    aligned = ("characters", "casing", "starts", "ends", "lists")

    def __init__(self, column: str = "text") -> None:
        super().__init__(column, words="tokens")
        self.columns = {column: sentence()}

    @property
    def _tokens(self) -> TokenFeatures:
        return self.adapted[self.words]

    def tensors(self, examples: Examples) -> dict[str, Any]:
        arrays, offsets = self._tokens.flat(examples[self.column])
        return {name: Sequences(values, offsets) for name, values in arrays.items()}

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        # Tokens that were given travel as the text that they make.
        return {self.column: np.array([str(text) for text in examples[self.column]], object)}

    def step_names(self, units: Examples, prepared: Mapping[str, Any], steps: int) -> list[str]:
        text = str(units[self.column][0])
        bounds = (np.asarray(prepared[name])[0].tolist() for name in ("starts", "ends"))
        found = [text[start:end] for start, end in zip(*bounds, strict=True)]
        return found if len(found) == steps else super().step_names(units, prepared, steps)

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
        counted = zip(self._tokens.vocabulary, self._tokens.counts, strict=True)
        known = {word for word, count in counted if count}
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
