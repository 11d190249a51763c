"""Text pairs: a text to translate, and in training what it is in another language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from apps.data import Examples, Sequences
from apps.data.kinds.side import sides
from apps.errors import UserError
from apps.inputs.texts import Texts

# Sentences whose attention a report shows, and how long one may be.
_SHOWN, _MOST_LETTERS = 4, 100


class TextPairs(Texts):
    """Texts as ids of pieces, pairs of which one side is blank left out.

    The application's `adapt` makes the layer `pieces`, an `apps.layers.subwords.Subwords`.

    Args:
        source: column of the texts to translate.
        target: column of what they are in the other language.
    """

    passed_over = "with a blank side"

    def __init__(self, source: str = "source", target: str = "target") -> None:
        super().__init__(source, words="pieces")
        self.target = target
        self.columns = {source: sides(source, target)[source]}

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        names = [name for name in (self.column, self.target) if name in examples]
        columns = [examples[name] for name in names]
        rows = [n for n, row in enumerate(zip(*columns, strict=True)) if all(map(str.strip, row))]
        if not rows:
            raise UserError(
                f"{examples.source}: a side of every pair is blank; give pairs of texts with "
                "words in them"
            )
        return examples.select(rows)

    def tensors(self, examples: Examples) -> dict[str, Any]:
        pieces, texts = self.adapted[self.words], examples[self.column]
        return {
            "ids": Sequences(*pieces.flat(texts)),
            "unknown": Sequences(*pieces.flat_unknown(texts)),
        }

    def step_names(self, units: Examples, prepared: Mapping[str, Any], steps: int) -> list[str]:
        texts = self.adapted["pieces"].texts
        return [texts[one] or "end" for one in np.asarray(prepared["ids"])[0, :steps]]

    def edge_cases(self) -> dict[str, np.ndarray]:
        """Those of texts, and scripts from right to left, marks alone and a long word."""
        cases = super().edge_cases()[self.column].tolist()
        more = ["שלום עולם 👩\u200d💻 e\u0301\u0301", "\u0301 \u202e", "x" * 40]
        return {self.column: np.array([*cases, *more], object)}

    def telling(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[int]:
        """The first ones that fit a page."""
        short = [number for number, row in enumerate(rows) if len(row["input"]) <= _MOST_LETTERS]
        return short[:_SHOWN]
