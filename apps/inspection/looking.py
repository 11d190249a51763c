"""A run's answer to one input, looked into: gates of its LSTMs, and what the answer comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Application
from apps.composition import beginning_states
from apps.errors import UserError
from apps.inspection.gates import Gates, gates_of
from apps.layers.watching import Call, watched_by
from apps.training.run import FinishedRun

# Points of the path along which gradients are summed.
_POINTS = 24


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        input: the input, or where it comes from.
        answer: of the run.
        steps: name of each step of the sequence that the first LSTM reads.
        gates: of each LSTM over that sequence, from the input up.
        attribution: `(steps,)`, the share of each step in the answer; None where the answer has no
            gradient.
        missing: how much of the answer the attributions leave unexplained, as a share of it.
    """

    input: str
    answer: dict[str, Any]
    steps: Sequence[str]
    gates: Sequence[Gates]
    attribution: np.ndarray | None
    missing: float


def look(run: FinishedRun, inputs: Any, points: int = _POINTS) -> Look:
    """Look into the answer to the first of some inputs.

    Args:
        run: a finished run.
        inputs: as `predict` takes them.
        points: of the path along which gradients are summed.

    Raises:
        UserError: the input cannot be read, or no LSTM reads it as one sequence.
    """
    application = run.application
    units = run.asked(inputs)
    if units is None or not len(units):
        raise UserError("there is no input to look into")
    if len(units) > 1:
        environment.say(f"there are {len(units)} inputs; this is {units.places[0]}")
        units = units.select(np.array([0]))
    raw = {name: tf.constant(value) for name, value in application.raw(units).items()}
    prepared = application.input.prepare(raw)
    model = application.inference()
    taken = {**prepared, **beginning_states(model, 1)}
    tensors = {tensor.name: taken[tensor.name] for tensor in model.inputs}
    calls: list[Call] = []

    def note(call: Call) -> tf.Tensor:
        calls.append(call)
        return call.x

    with watched_by(note):
        model(tensors, training=False)
    # Layers over the letters of words, say, have a row for each word.
    main = [call for call in calls if call.x.shape[0] == 1]
    if not main:
        raise UserError(f"{run.folder}: {application.name} has no LSTM that reads one sequence")
    every = [gates_of(call, _name(number, call)) for number, call in enumerate(main)]
    steps = len(every[0].cell)
    # A decoder runs over a sequence of its own.
    same = main[0].x.shape[1]
    pairs = zip(main, every, strict=True)
    gates = [one for call, one in pairs if call.x.shape[1] == same and len(one.cell) == steps]
    first = calls.index(main[0])
    attribution, missing = _attributed(application, tensors, first, main[0], points)
    names = application.input.step_names(units, prepared, steps)
    shown = None if attribution is None else attribution[:steps]
    said = str(application.input.shown(units)[0].get("input") or units.places[0])
    return Look(said, run.answers(units)[0], names[:steps], gates, shown, missing)


def _attributed(
    application: Application, inputs: Mapping[str, tf.Tensor], number: int, first: Call, points: int
) -> tuple[np.ndarray | None, float]:
    """Integrated gradients of the answer along the path from no input to the input.

    Sundararajan et al. 2017, "Axiomatic attribution for deep networks", section 3, with the vectors
    that the first LSTM reads as the input, and zeros as none.
    """
    model, x = application.inference(), tf.convert_to_tensor(first.x)

    def scored(given: tf.Tensor) -> tf.Tensor:
        seen = 0

        def put(call: Call) -> tf.Tensor:
            nonlocal seen
            seen += 1
            # A layer that runs in both directions calls twice with the same vectors.
            same = call.x.shape == x.shape and (seen - 1 == number or _equal(call.x, x))
            return given if same else call.x

        with watched_by(put):
            return application.task.explained(model(inputs, training=False))

    total = np.zeros(x.shape, np.float64)
    for point in range(points):
        part = tf.Variable(x * ((point + 0.5) / points))
        with tf.GradientTape() as tape:
            score = scored(tf.convert_to_tensor(part))
        gradient = tape.gradient(score, part)
        if gradient is None:
            return None, float("nan")
        total += np.asarray(gradient, np.float64)
    attribution = (total / points * np.asarray(x, np.float64)).sum(-1)[0]
    whole = float(scored(x)) - float(scored(tf.zeros_like(x)))
    missing = abs(attribution.sum() - whole) / max(abs(whole), 1e-12)
    return attribution, missing


def _equal(one: tf.Tensor, other: tf.Tensor) -> bool:
    return bool(tf.reduce_all(tf.equal(one, other)))


def _name(number: int, call: Call) -> str:
    direction = ", from the end" if call.layer.go_backwards else ""
    return f"LSTM {number + 1}: {call.layer.name}, {call.layer.units} units{direction}"
