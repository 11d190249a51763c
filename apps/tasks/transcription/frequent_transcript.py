"""The naive transcription: what was said most often, whatever is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from apps.components import Baseline
from apps.data import Examples
from apps.layers.ctc.tokens import normalized


class MostFrequentTranscript(Baseline):
    """Answers every recording with the most frequent transcript of the training rows.

    Args:
        column: holds the transcripts.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.transcript = ""

    def fit(self, examples: Examples) -> None:
        counts = Counter(map(normalized, examples[self.column]))
        self.transcript = min(counts, key=lambda text: (-counts[text], text))

    def predict(self, examples: Examples) -> np.ndarray:
        return np.full(len(examples), self.transcript, object)

    def state(self) -> dict[str, np.ndarray]:
        return {"transcript": np.array(self.transcript)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.transcript = str(state["transcript"])
