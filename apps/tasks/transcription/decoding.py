"""From the posteriors of recordings to hypotheses, through layers that also serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.ctc.posteriors import IMPOSSIBLE
from apps.report.speech import error_rates
from apps.serving.client.values import answers

_ROWS = 32


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """What a recording is taken to say.

    Attributes:
        answer: `text`, `confidence`, and of each word `words`, `starts`, `ends`, `confidences`.
        posteriors: log-probabilities it was found in, `(steps, tokens)` float32; None where it was
            not found in any.
    """

    answer: dict[str, Any]
    posteriors: np.ndarray | None = None

    @property
    def text(self) -> str:
        """The words with a space between them."""
        return self.answer["text"]


class Decoding:
    """A decoder for many recordings at once.

    Args:
        decoder: takes log-probabilities `(batch, steps, tokens)` and lengths `(batch,)`.
        transcripts: makes named answers of what it gives.
    """

    def __init__(self, decoder: keras.layers.Layer, transcripts: keras.layers.Layer) -> None:
        self._decoder, self._transcripts = decoder, transcripts
        self._traced: Any = None

    def __call__(self, outputs: np.ndarray) -> np.ndarray:
        """Decode.

        Args:
            outputs: `(rows,)` of arrays `(steps, tokens)` float32.

        Returns:
            `(rows,)` of `Hypothesis`.
        """
        found = np.empty(len(outputs), object)
        order = sorted(range(len(outputs)), key=lambda row: len(outputs[row]))
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            lengths = np.array([len(outputs[row]) for row in rows], np.int32)
            padded = np.full((len(rows), lengths.max(), outputs[rows[0]].shape[-1]), IMPOSSIBLE)
            padded[..., 0] = 0.0
            for target, row in zip(padded, rows, strict=True):
                target[: len(outputs[row])] = outputs[row]
            decoded = self._call(padded.astype(np.float32), lengths)
            arrays = {name: value.numpy() for name, value in decoded.items()}
            for row, answer in zip(rows, answers(arrays, len(rows)), strict=True):
                found[row] = Hypothesis(answer, outputs[row])
        return found

    def _call(self, padded: np.ndarray, lengths: np.ndarray) -> dict[str, tf.Tensor]:
        if self._traced is None:
            self._traced = tf.function(
                lambda scores, lengths: self._transcripts(self._decoder(scores, lengths)),
                input_signature=[
                    tf.TensorSpec((None, None, padded.shape[-1]), tf.float32),
                    tf.TensorSpec((None,), tf.int32),
                ],
            )
        return self._traced(tf.constant(padded), tf.constant(lengths))


def word_error_rate(truth: np.ndarray, hypotheses: np.ndarray) -> float:
    """Word error rate, a fraction, of hypotheses `(rows,)` for texts `(rows,)`."""
    pairs = [(said, one.text) for said, one in zip(truth, hypotheses, strict=True)]
    return error_rates.rates(pairs)["wer"]
