"""The model that is served: raw input to named answers, the trained model inside."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from apps.components import Input, Task
from apps.layers.beginning import BeginningState
from apps.signatures import STATE

# The name under which the model on prepared tensors is part of the served model.
TENSORS = "tensors"


def served_model(
    name: str,
    given: Input,
    task: Task,
    model: keras.Model,
    adapted: Mapping[str, keras.layers.Layer],
) -> keras.Model:
    """Compose the model that is served.

    Args:
        name: of the application.
        given: prepares the model's inputs from raw ones.
        task: makes answers from the model's outputs.
        model: on prepared tensors, named `TENSORS`.
        adapted: the layers that must be inside, by name.

    Raises:
        ValueError: an adapted layer is not part of it, or has another name in it.
    """
    raw = given.raw_inputs()
    if same := set(raw) & set(adapted):
        raise ValueError(f"{name}: raw input and layer '{same.pop()}' share one name")
    prepared = given.prepare(raw)
    first = next(iter(prepared.values()))
    for state in model.inputs:
        if state.name.startswith(STATE):
            beginning = BeginningState(state.shape[1:], state.dtype, name=state.name)
            prepared = {**prepared, state.name: beginning(first)}
    taken = {tensor.name: prepared[tensor.name] for tensor in model.inputs}
    served = keras.Model(raw, task.answers(model(taken), prepared), name=name)
    inside = layers_of(served)
    for key, layer in adapted.items():
        if inside.get(key) is not layer:
            raise ValueError(
                f"{name}: adapt made '{key}' ({type(layer).__name__}, named '{layer.name}'), but "
                "the served model has no such layer of that name: it would be lost"
            )
    return served


def served_tensors(served: keras.Model) -> keras.Model:
    """The part of a served model that takes prepared tensors."""
    return served.get_layer(TENSORS)


def beginning_states(model: keras.Model, rows: int) -> dict[str, tf.Tensor]:
    """The states that a model takes at the beginning of so many streams, by name."""
    return {
        tensor.name: tf.zeros([rows, *tensor.shape[1:]], tensor.dtype)
        for tensor in model.inputs
        if tensor.name.startswith(STATE)
    }


def layers_of(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """The layers of a model and of the models inside it by name, the outer ones first."""
    found: dict[str, keras.layers.Layer] = {}
    inner: list[keras.Model] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inner.append(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            found[layer.name] = layer
    for one in inner:
        found = {**layers_of(one), **found}
    return found


def try_edge_cases(name: str, given: Input, model: keras.Model) -> None:
    """Run a model on each edge case of its input, so that one that it cannot take shows at once.

    Args:
        name: of the application.
        given: prepares the model's inputs from raw ones.
        model: on prepared tensors.

    Raises:
        ValueError: `prepare` or the model fails.
    """
    cases = given.edge_cases()
    for row in range(len(next(iter(cases.values())))):
        raw = {key: tf.constant(values[row : row + 1]) for key, values in cases.items()}
        try:
            prepared = given.prepare(raw)
            states = beginning_states(model, len(next(iter(prepared.values()))))
            names = [tensor.name for tensor in model.inputs]
            model({key: {**prepared, **states}[key] for key in names}, training=False)
        except (ValueError, tf.errors.OpError) as error:
            shown = {key: value.tolist() for key, value in _first(cases, row).items()}
            raise ValueError(
                f"{name}: prepare or model cannot take the edge case {shown!s:.200}; a batch of "
                f"nothing still needs one padded step ({error!s:.300})"
            ) from error


def _first(cases: Mapping[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    """A row of the edge cases, its arrays cut to a few numbers."""
    return {name: values[row : row + 1].reshape(1, -1)[:, :8] for name, values in cases.items()}
