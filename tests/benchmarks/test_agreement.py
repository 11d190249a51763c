"""The measure of agreement: what knows the noun is right, what knows the verb only is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from apps.data import Examples
from apps.layers.text_tokens import WordTokens
from apps.text.sample_prose import sample_prose
from benchmarks.agreement import CLAUSES, shares


def agrees(sentence: str) -> bool:
    """Whether the last word's number is that of the first noun."""
    noun = sentence.partition(" that ")[0].split()
    several = (noun[-1] if " that " in sentence else noun[-2]).endswith("s")
    return several != sentence.rstrip(".").endswith("s")


class Run:
    """Finds sentences likely whose verb agrees; its baseline those whose verb has an s."""

    def __init__(self) -> None:
        texts = sample_prose(0, 20)["text"]
        self.tokens = WordTokens.adapt(texts, 1000, "marks")
        self.application = SimpleNamespace(adapted={"tokens": self.tokens})

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        assert all(row["max_tokens"] == 0 for row in rows)
        return [{"prompt_nats": [3.0, 1.0 if agrees(row["text"]) else 2.0]} for row in rows]

    def baselines(self) -> dict[str, Any]:
        return {"singular": self}

    def score(self, ids: np.ndarray) -> float:
        return float(self.tokens.texts[ids[-2]].endswith("s"))


class Singular(Run):
    """The same as a baseline."""

    def predict(self, rows: Any) -> Any:
        assert isinstance(rows, Examples)
        return {"log_probs": np.array([[self.score(ids)] for ids in rows["ids"]])}


def test_shares_of_right_verbs() -> None:
    run = Run()
    run.baselines = lambda: {"singular": Singular()}  # type: ignore[method-assign]
    found = shares(run, 60, 2)
    assert found["model"] == [1.0] * len(CLAUSES)
    assert all(0.3 < share < 0.7 for share in found["singular"])
