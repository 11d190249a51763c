"""TFLite files opened in TensorFlow's interpreter and held against their model."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from apps.export.tflite.small_model import Arrays, SmallModel

Call = Callable[..., Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Agreement:
    """How a file compares.

    Attributes:
        bytes: its size.
        milliseconds: of one call, median, on one core.
        difference: largest difference of an output that is a number, as a share of the largest.
        same: share of steps at which the largest of several numbers is the same one; None where
            there are none.
        correct: share of rows whose last answer is the true class; None where none are known.
        rows, calls: what was compared on.
    """

    bytes: int
    milliseconds: float
    difference: float
    same: float | None
    correct: float | None
    rows: int
    calls: int


def compare(
    content: bytes,
    small: SmallModel,
    rows: Sequence[list[Arrays]],
    wanted: Sequence[list[Arrays]],
    truth: np.ndarray | None,
    classes: bool,
) -> Agreement:
    """Ask a file what the model was asked.

    Args:
        content: the file.
        small: what it was made from.
        rows: of each row its calls, without states.
        wanted: the model's outputs, as `answers` gives them.
        truth: `(rows,)`, number of the true class of each.
        classes: whether outputs are scores of classes.
    """
    seconds: list[float] = []
    found = answers(_opened(content, small), small, rows, seconds)
    difference, same, correct = 0.0, [], []
    scores = _scores(wanted[0][0]) if classes else None
    for row, (calls, targets) in enumerate(zip(found, wanted, strict=True)):
        last = None
        for one, other in zip(calls, targets, strict=True):
            steps = int(other["steps"][0]) if "steps" in other else None
            for name, value in other.items():
                if np.asarray(value).dtype.kind != "f":
                    continue
                a, b = (_real(np.asarray(v[name], np.float64), steps) for v in (one, other))
                largest = max(float(np.abs(b).max(initial=0.0)), 1.0)
                difference = max(difference, float(np.abs(a - b).max(initial=0.0)) / largest)
            if scores is None or steps == 0:
                continue
            said, meant = (_rows(v[scores], steps) for v in (one, other))
            same.append(said.argmax(-1) == meant.argmax(-1))
            last = said[-1]
        if truth is not None and last is not None:
            correct.append(int(last.argmax()) == int(truth[row]))
    return Agreement(
        bytes=len(content),
        milliseconds=1e3 * statistics.median(seconds),
        difference=difference,
        same=float(np.concatenate(same).mean()) if same else None,
        correct=float(np.mean(correct)) if correct else None,
        rows=len(rows),
        calls=len(seconds),
    )


def answers(
    call: Call, small: SmallModel, rows: Sequence[list[Arrays]], seconds: list[float] | None = None
) -> list[list[Arrays]]:
    """The outputs of each call, states handed on within a row and taken out."""
    found: list[list[Arrays]] = []
    for chunks in rows:
        states = {n: _zeros(small.inputs[n]) for n in small.states}
        said: list[Arrays] = []
        for chunk in chunks:
            began = time.perf_counter()
            out = dict(call(**chunk, **states))
            if seconds is not None:
                seconds.append(time.perf_counter() - began)
            states = {name: np.asarray(out.pop(name)) for name in states}
            said.append({name: np.asarray(value) for name, value in out.items()})
        found.append(said)
    return found


def _opened(content: bytes, small: SmallModel) -> Call:
    with warnings.catch_warnings():
        # TensorFlow says that its interpreter moves to a package of its own.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        return interpreter.get_signature_runner(small.entry)


def _scores(outputs: Arrays) -> str | None:
    """The output that holds a number for each of several classes, if there is one."""
    names = ("probabilities", "outputs")
    wide = [n for n in names if n in outputs and outputs[n].dtype.kind == "f" and outputs[n].ndim]
    return next((name for name in wide if outputs[name].shape[-1] > 1), None)


def _real(value: np.ndarray, steps: int | None) -> np.ndarray:
    """What is no padding."""
    return value if steps is None or value.ndim < 2 else value[:, :steps]


def _rows(value: np.ndarray, steps: int | None) -> np.ndarray:
    """`(steps, classes)` of one row."""
    flat = value.reshape(-1, value.shape[-1])
    return flat if steps is None else flat[:steps]


def _zeros(spec: tf.TensorSpec) -> np.ndarray:
    return np.zeros(spec.shape, spec.dtype.as_numpy_dtype)
