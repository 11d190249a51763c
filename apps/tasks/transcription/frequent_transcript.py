"""The naive transcription: what was said most often, whatever is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from apps.application import Baseline
from apps.layers.ctc.tokens import normalized
from apps.tasks.transcription.decoding import Hypothesis

if TYPE_CHECKING:
    from apps.data import Examples


class MostFrequentTranscript(Baseline):
    """Answers every recording with the most frequent transcript of the training rows."""

    def __init__(self) -> None:
        self.transcript = ""

    def fit(self, examples: Examples) -> None:
        counts = Counter(map(normalized, examples["transcript"]))
        self.transcript = min(counts, key=lambda text: (-counts[text], text))

    def predict(self, examples: Examples) -> np.ndarray:
        found = np.empty(len(examples), object)
        found[:] = [Hypothesis({"text": self.transcript})] * len(examples)
        return found

    def state(self) -> dict[str, np.ndarray]:
        return {"transcript": np.array(self.transcript)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.transcript = str(state["transcript"])
