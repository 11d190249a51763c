"""Golden answers: what a model says when its training ends, to be said by every export of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from apps.application import Application
from apps.composition import beginning_states
from apps.data import Batch, Examples
from apps.signatures import Signature

_TYPICAL = 3
_SEPARATOR = "|"


@dataclass(frozen=True)
class Golden:
    """One request and its answer.

    Attributes:
        signature: the entry point.
        inputs: arrays by name; texts are object arrays.
        outputs: arrays by name.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


def golden_answers(application: Application, units: Examples) -> list[Golden]:
    """Ask a trained model for typical, longest and unusual inputs, alone and together.

    Args:
        application: with its trained model.
        units: from which inputs are taken.

    Returns:
        Requests of one row each, then one of all rows, then the same rows prepared, then a step of
        a stream where the application reads streams.
    """
    lengths = application.view(units, targets=False).lengths
    rows = list(dict.fromkeys([*range(min(_TYPICAL, len(units))), int(lengths.argmax())]))
    usual = [application.raw(units.select([row])) for row in rows]
    edges = application.input.edge_cases()
    count = len(next(iter(edges.values())))
    alone = usual + [{name: v[i : i + 1] for name, v in edges.items()} for i in range(count)]
    together = {name: _stacked([one[name] for one in alone]) for name in edges}
    signatures = application.signatures()
    chosen = application.view(units.select(rows), targets=False)
    longest = int(chosen.lengths.max(initial=1))
    batch = chosen.fetch(Batch(np.arange(len(chosen)), longest, np.ones(len(chosen), bool)))
    taken = signatures["tensors"].inputs
    states = beginning_states(application.inference(), len(chosen))
    asked = [(application.input.entry, inputs) for inputs in [*alone, together]]
    asked.append(("tensors", {name: np.asarray({**batch, **states}[name]) for name in taken}))
    if "step" in signatures:
        asked.append(("step", {n: _silence(spec) for n, spec in signatures["step"].inputs.items()}))
    return [Golden(name, inputs, _answer(signatures[name], inputs)) for name, inputs in asked]


def further_requests(signatures: Mapping[str, Signature], goldens: list[Golden]) -> list[Golden]:
    """Requests of one row for the entry point that takes everything, in the form of others.

    Args:
        signatures: the entry points by name.
        goldens: as `golden_answers` gives them, that entry point's first.

    Returns:
        Those that another entry point can hold, with the answers that they must get there.
    """
    served = [
        one
        for one in goldens
        if one.signature == goldens[0].signature and len(next(iter(one.inputs.values()))) == 1
    ]
    found = []
    for name, signature in signatures.items():
        if signature.example is None:
            continue
        for one in served:
            made = signature.example(one.inputs, one.outputs)
            if made is not None:
                found.append(Golden(name, *made))
    return found


def to_arrays(goldens: list[Golden]) -> dict[str, np.ndarray]:
    """As arrays that an `.npz` file holds without pickling; `from_arrays` takes them back."""
    arrays = {}
    for number, golden in enumerate(goldens):
        for side, values in (("inputs", golden.inputs), ("outputs", golden.outputs)):
            for name, value in values.items():
                key = _SEPARATOR.join((f"{number:03}", golden.signature, side, name))
                arrays[key] = value.astype("U") if value.dtype == object else value
    return arrays


def from_arrays(arrays: Mapping[str, np.ndarray]) -> list[Golden]:
    """The requests and answers that `to_arrays` was given, in order."""
    found: dict[tuple[str, str], dict[str, dict[str, np.ndarray]]] = {}
    for key, value in arrays.items():
        number, signature, side, name = key.split(_SEPARATOR)
        sides = found.setdefault((number, signature), {"inputs": {}, "outputs": {}})
        sides[side][name] = value.astype(object) if value.dtype.kind == "U" else value
    return [Golden(signature, **found[number, signature]) for number, signature in sorted(found)]


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays `(1, …)` as the rows of one, shorter ones padded with zeros."""
    widest = np.max([part.shape for part in parts], 0)
    return np.concatenate(
        [
            np.pad(
                part,
                [(0, 0), *((0, w - n) for w, n in zip(widest[1:], part.shape[1:], strict=True))],
            )
            if part.ndim > 1
            else part
            for part in parts
        ]
    )


def _answer(signature: Signature, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = signature.call(*(tf.constant(inputs[name]) for name in signature.inputs))
    return {name: _text(tensor.numpy()) for name, tensor in outputs.items()}


def _text(value: np.ndarray) -> np.ndarray:
    if value.dtype != object:
        return value
    texts = [item.decode("utf-8", "replace") for item in value.ravel()]
    return np.array(texts, object).reshape(value.shape)


def _silence(spec: tf.TensorSpec) -> np.ndarray:
    # A chunk's integers count its steps, of which there is one; states begin as zeros.
    if spec.dtype == tf.string:
        return np.full([size or 1 for size in spec.shape], "", object)
    fill = spec.dtype.is_integer and not spec.name.startswith("state_")
    return np.full([size or 1 for size in spec.shape], int(fill), spec.dtype.as_numpy_dtype)
