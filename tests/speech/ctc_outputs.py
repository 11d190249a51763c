"""Outputs of a CTC model that are made by hand, and what is answered of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.answers import answers as as_python
from apps.data import Examples
from apps.layers.ctc.tokens import IMPOSSIBLE, Tokens
from apps.speech.transcription import Transcription, TranscriptionConfig
from apps.tasks.transcription import CtcTranscription

DOUBT = 1e-6


def application(tiny: Mapping[str, Any], **settings: Any) -> Transcription:
    return Transcription(TranscriptionConfig.from_values({**tiny, **settings}), seed=3)


def built(tiny: Mapping[str, Any], rows: Examples, **settings: Any) -> Transcription:
    """An application adapted to its rows, its weights as they begin."""
    model = application(tiny, **settings)
    model.compose(model.check(rows, learning=True))
    return model


def heard(tokens: Tokens, *steps: Mapping[str, float]) -> np.ndarray:
    """Log-probabilities `(steps, tokens)` of what is said to be heard at each step."""
    found = np.full((len(steps), len(tokens)), DOUBT, np.float32)
    for row, step in zip(found, steps, strict=True):
        for text, probability in step.items():
            row[tokens.texts.index(text)] = probability
    return np.log(found / found.sum(1, keepdims=True))


def outputs_of(*rows: np.ndarray) -> np.ndarray:
    """Rows of different lengths as the model gives them: padding is certain to be blank."""
    outputs = np.full((len(rows), max(map(len, rows)), rows[0].shape[1]), IMPOSSIBLE, np.float32)
    outputs[..., 0] = 0.0
    for padded, row in zip(outputs, rows, strict=True):
        padded[: len(row)] = row
    return outputs


def go_or_no(tokens: Tokens, go: float) -> np.ndarray:
    """Outputs of one recording of either "go", with this probability, or "no"."""
    return outputs_of(heard(tokens, {"g": go, "n": 1 - go}, {"": 1.0}, {"o": 1.0}))


def answered(task: CtcTranscription, outputs: np.ndarray) -> list[dict[str, Any]]:
    """What is answered of outputs, as a client reads it."""
    answers = task.answers(tf.constant(outputs), {})
    return as_python({name: value.numpy() for name, value in answers.items()}, len(outputs))


def texts(task: CtcTranscription, outputs: np.ndarray) -> list[str]:
    return [answer["text"] for answer in answered(task, outputs)]


def truth(*said: str) -> np.ndarray:
    return np.array(said, object)
