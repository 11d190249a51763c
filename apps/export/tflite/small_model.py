"""What an application does on a small device: tensors of one row and of fixed shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from apps.application import Application
from apps.composition import beginning_states, served_tensors
from apps.data import Examples
from apps.errors import UserError
from apps.export.agreement import Arrays
from apps.export.onnx.conversion import in_float32, outputs_by_name
from apps.export.tflite.recurrence import NoFixedSizeError, plain_lstm
from apps.layers.kernels.dispatch import kernels_as
from apps.layers.small_devices import for_small_devices
from apps.training.golden import Golden

_LENGTHS = "lengths"
_NOISE_CHUNKS = 20


@dataclass(frozen=True)
class SmallModel:
    """One entry point of a model for small devices.

    Attributes:
        entry: `step` of a stream, or `tensors`.
        size: steps of a chunk, or of the whole.
        inputs: specs by name, every axis known, states among them.
        states: the names of those that a call hands on to the next.
        call: takes tensors by name, gives outputs by name.
        model: the same as the application itself computes it, to compare with.
    """

    entry: str
    size: int
    inputs: Mapping[str, tf.TensorSpec]
    states: tuple[str, ...]
    call: Callable[..., Mapping[str, tf.Tensor]]
    model: Callable[..., Mapping[str, tf.Tensor]]

    def traced(self, name: str) -> tf.types.experimental.ConcreteFunction:
        """The graph.

        Args:
            name: of the application, in messages.

        Raises:
            UserError: sizes in it are not fixed.
        """
        try:
            return tf.function(self.call, autograph=False).get_concrete_function(**self.inputs)
        except NoFixedSizeError:
            raise UserError(
                f"{name}: cannot be converted to TFLite (one of its LSTMs reads a number of steps "
                "that hangs on the input, which a small device cannot lay out); export without "
                "--tflite"
            ) from None


def small_model(application: Application, goldens: Sequence[Golden]) -> SmallModel:
    """The step of an application that reads streams, or its model on prepared tensors.

    Args:
        application: with its trained model.
        goldens: recorded requests, the longest of which says how long a whole may be.

    Raises:
        UserError: an input is text.
    """
    states = application.small_states()
    tensors = served_tensors(application.served)
    if states:
        entry, given = "step", application.small_chunk()
        size = max((spec.shape[1] for spec in given.values() if len(spec.shape) > 1), default=1)
    else:
        entry = "tensors"
        recorded = next(one.inputs for one in goldens if one.signature == entry)
        size = max((value.shape[1] for value in recorded.values() if value.ndim > 1), default=1)
        given = {one.name: tf.TensorSpec(one.shape, one.dtype) for one in tensors.inputs}
    inputs = {name: _fixed(name, spec, size) for name, spec in {**given, **states}.items()}
    if texts := [name for name, spec in inputs.items() if spec.dtype == tf.string]:
        raise UserError(
            f"{application.name}: the input '{texts[0]}' is text, which small devices do not "
            "process; export without --tflite"
        )
    if states:
        # A chunk is always whole: whoever fills it pads the last one.
        inputs.pop(_LENGTHS, None)
    weights = [(one, np.asarray(one)) for one in application.served.variables]

    def call(**given: tf.Tensor) -> Mapping[str, tf.Tensor]:
        if not states:
            names = [one.name for one in tensors.inputs]
            return outputs_by_name(tensors, names, tuple(given[name] for name in names))
        if _LENGTHS in application.stream_inputs():
            given[_LENGTHS] = tf.constant([size], tf.int32)
        found = application.small_step(**given)
        return {name: value for name, value in found.items() if value.dtype != tf.string}

    def call_on_small_device(**given: tf.Tensor) -> Mapping[str, tf.Tensor]:
        scope = keras.StatelessScope([(one, tf.constant(value)) for one, value in weights])
        with scope, kernels_as(plain_lstm), for_small_devices(), in_float32(application.served):
            return call(**given)

    return SmallModel(entry, size, inputs, tuple(states), call_on_small_device, call)


def requests(
    application: Application, small: SmallModel, units: Examples | None, goldens: Sequence[Golden]
) -> Iterator[list[Arrays]]:
    """What to compare on: of each row its chunks, without states, or its prepared tensors.

    Args:
        application: with its trained model.
        small: what is asked.
        units: rows that were not learnt from, if there are some; else recorded requests are taken.
        goldens: recorded requests.
    """
    if units is None:
        raws = [
            one.inputs
            for one in goldens
            if one.signature == application.input.entry
            and len(next(iter(one.inputs.values()))) == 1
        ]
    else:
        raws = [application.raw(units.select([row])) for row in range(len(units))]
    if small.entry == "tensors":
        yield from ([_prepared(application, small, raw)] for raw in raws)
    elif set(application.stream_inputs()) == set(raws[0]):
        behind = int(application.metadata().get("trailing_silence", 0))
        yield from (_chunks(small, raw, behind) for raw in raws)
    else:
        # A stream of it is no long input: noise shows rounding as well.
        random = np.random.default_rng(0)
        names = [name for name in small.inputs if name not in small.states]
        yield [{n: _noise(random, small.inputs[n]) for n in names} for _ in range(_NOISE_CHUNKS)]


def _fixed(name: str, spec: tf.TensorSpec, size: int) -> tf.TensorSpec:
    axes = [1, *(size if axis is None else axis for axis in spec.shape[1:])]
    return tf.TensorSpec(axes, spec.dtype, name)


def _chunks(small: SmallModel, raw: Arrays, behind: int) -> list[Arrays]:
    """A raw input cut into chunks, the last one padded with zeros."""
    length = int(raw[_LENGTHS][0]) + behind if _LENGTHS in raw else None
    chunks: list[dict[str, np.ndarray]] = []
    for name, value in raw.items():
        if name == _LENGTHS:
            continue
        steps = value.shape[1] if length is None else length
        count = max(-(-steps // small.size), 1)
        rest = [(0, 0)] * (value.ndim - 2)
        fill = max(count * small.size - value.shape[1], 0)
        filled = np.pad(value, [(0, 0), (0, fill), *rest])
        for number in range(count):
            if number == len(chunks):
                chunks.append({})
            chunks[number][name] = filled[:, number * small.size : (number + 1) * small.size]
    return list(chunks)


def _prepared(application: Application, small: SmallModel, raw: Arrays) -> Arrays:
    """The model's inputs made from raw ones, padded or cut to the fixed size."""
    given = application.input.prepare({name: tf.constant(value) for name, value in raw.items()})
    given = {**given, **beginning_states(served_tensors(application.served), 1)}
    found = {}
    for name, spec in small.inputs.items():
        value = np.asarray(given[name])
        axes = zip(value.shape, spec.shape, strict=True)
        value = np.pad(value, [(0, max(want - have, 0)) for have, want in axes])
        found[name] = value[tuple(slice(0, want) for want in spec.shape)]
        if name == _LENGTHS:
            found[name] = np.minimum(found[name], small.size)
    return found


def _noise(random: np.random.Generator, spec: tf.TensorSpec) -> np.ndarray:
    if spec.dtype.is_integer:
        return random.integers(0, 2, spec.shape).astype(spec.dtype.as_numpy_dtype)
    return random.standard_normal(spec.shape).astype(spec.dtype.as_numpy_dtype)
