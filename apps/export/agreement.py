"""How a file made for another runtime answers, held against the model that it was made from."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from apps.application import Application
from apps.data import Examples
from apps.errors import UserError, nearest

FLOAT32, FLOAT16, INT8 = "float32", "float16", "int8"
Arrays = Mapping[str, np.ndarray]
Call = Callable[..., Mapping[str, np.ndarray]]
States = Mapping[str, tf.TensorSpec]
_MOST_ROWS = 500


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


def check_kind(option: str, kind: str, kinds: Sequence[str]) -> None:
    """Raise a UserError for a kind of numbers that an export does not know."""
    if kind not in kinds:
        raise UserError(f"{option}={kind}: choose one of {', '.join(kinds)}{nearest(kind, kinds)}")


def agreement(
    call: Call,
    size: int,
    rows: Sequence[Sequence[Arrays]],
    wanted: Sequence[Sequence[Arrays]],
    *,
    states: States | None = None,
    classes: bool = False,
    truth: np.ndarray | None = None,
) -> Agreement:
    """Ask a file what the model was asked.

    Args:
        call: asks the file: tensors by name, answers by name.
        size: bytes of the file.
        rows: of each row its calls, without states.
        wanted: the model's outputs, as `answers` gives them.
        states: those that a call hands on to the next.
        classes: whether outputs are scores of classes.
        truth: `(rows,)`, number of the true class of each.
    """
    seconds: list[float] = []
    found = answers(call, rows, states or {}, seconds)
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
        bytes=size,
        milliseconds=1e3 * statistics.median(seconds),
        difference=difference,
        same=float(np.concatenate(same).mean()) if same else None,
        correct=float(np.mean(correct)) if correct else None,
        rows=len(rows),
        calls=len(seconds),
    )


def answers(
    call: Call,
    rows: Sequence[Sequence[Arrays]],
    states: States,
    seconds: list[float] | None = None,
) -> list[list[Arrays]]:
    """The outputs of each call, states handed on within a row and taken out."""
    found: list[list[Arrays]] = []
    for chunks in rows:
        before = {n: np.zeros(s.shape, s.dtype.as_numpy_dtype) for n, s in states.items()}
        said: list[Arrays] = []
        for chunk in chunks:
            began = time.perf_counter()
            out = dict(call(**chunk, **before))
            if seconds is not None:
                seconds.append(time.perf_counter() - began)
            before = {name: np.asarray(out.pop(name)) for name in before}
            said.append({name: np.asarray(value) for name, value in out.items()})
        found.append(said)
    return found


def some_of(units: Examples) -> Examples:
    """As many rows as are enough, evenly spread."""
    places = np.linspace(0, len(units) - 1, min(len(units), _MOST_ROWS)).astype(int)
    return units.select(places)


def true_classes(application: Application, units: Examples | None) -> np.ndarray | None:
    """The number of each row's true class, where an answer is one class."""
    targets = {} if units is None else application.task.targets(units)
    if len(targets) != 1 or not application.labels:
        return None
    truth = np.asarray(next(iter(targets.values())))
    return truth if truth.ndim == 1 and truth.dtype.kind in "iu" else None


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
