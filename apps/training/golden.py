"""Golden answers: what a model says when its training ends, to be said by every export of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from apps.application import Application
    from apps.data import Examples

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


def golden_answers(application: Application, examples: Examples) -> list[Golden]:
    """Ask a trained model for typical, longest and unusual inputs, alone and together.

    Args:
        application: with its trained model.
        examples: rows from which inputs are taken.

    Returns:
        Requests of one row each, then one of all rows, then the same rows prepared, then a step of
        a stream where the application reads streams.
    """
    lengths = application.prepare(examples, targets=False).lengths
    rows = list(dict.fromkeys([*range(min(_TYPICAL, len(examples))), int(lengths.argmax())]))
    usual = [application.raw(examples.select([row])) for row in rows]
    unusual = application.unusual()
    count = len(next(iter(unusual.values())))
    alone = usual + [{name: v[i : i + 1] for name, v in unusual.items()} for i in range(count)]
    together = {name: _stacked([one[name] for one in alone]) for name in unusual}
    chosen = application.prepare(examples.select(rows), targets=False)
    batch = chosen.fetch(np.arange(len(rows)), int(chosen.lengths.max()))
    asked = [("serving_default", inputs) for inputs in [*alone, together]]
    signatures = application.signatures()
    asked.append(("tensors", {name: batch[name] for name in signatures["tensors"].inputs}))
    if "step" in signatures:
        asked.append(("step", {n: _silence(spec) for n, spec in signatures["step"].inputs.items()}))
    return [
        Golden(name, inputs, _answer(signatures[name].call, inputs.values()))
        for name, inputs in asked
    ]


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


def _answer(
    call: Callable[..., dict[str, tf.Tensor]], inputs: Iterable[np.ndarray]
) -> dict[str, np.ndarray]:
    outputs = call(*(tf.constant(value) for value in inputs))
    return {name: _text(tensor.numpy()) for name, tensor in outputs.items()}


def _text(value: np.ndarray) -> np.ndarray:
    if value.dtype != object:
        return value
    texts = [item.decode("utf-8", "replace") for item in value.ravel()]
    return np.array(texts, object).reshape(value.shape)


def _silence(spec: tf.TensorSpec) -> np.ndarray:
    # A chunk's integers count its steps, of which there is one; states begin as zeros.
    fill = spec.dtype.is_integer and not spec.name.startswith("state_")
    return np.full([size or 1 for size in spec.shape], int(fill), spec.dtype.as_numpy_dtype)
