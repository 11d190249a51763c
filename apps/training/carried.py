"""State that a model carries from one batch of a token stream to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.signatures import STATE

BEGINS = "begins"


class Carried:
    """The inputs of a model named `state_…`, which its outputs of the same names feed.

    Args:
        model: its outputs are a dict where it carries anything.

    Raises:
        ValueError: a state is taken but not given back.
    """

    def __init__(self, model: keras.Model) -> None:
        self._tensors = {t.name: t for t in model.inputs if t.name.startswith(STATE)}
        given = model.output if isinstance(model.output, Mapping) else {}
        lost = [name for name in self._tensors if name not in given]
        if lost:
            raise ValueError(f"the model takes {lost[0]} but does not give it back")

    def __bool__(self) -> bool:
        return bool(self._tensors)

    def specs(self) -> dict[str, tf.TensorSpec]:
        """The states of a batch by name."""
        return {
            name: tf.TensorSpec(tensor.shape, tensor.dtype)
            for name, tensor in self._tensors.items()
        }

    def zeros(self, rows: int) -> dict[str, tf.Tensor]:
        """The states of so many rows at their beginning."""
        return {
            name: tf.zeros([rows, *tensor.shape[1:]], tensor.dtype)
            for name, tensor in self._tensors.items()
        }

    def begun(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """A batch whose states are zero in the rows that begin."""
        found = dict(batch)
        for name in self._tensors:
            state = batch[name]
            begins = tf.reshape(batch[BEGINS], [-1, *[1] * (len(state.shape) - 1)])
            found[name] = tf.where(begins, tf.zeros([], state.dtype), state)
        return found


def states_of(outputs: Any) -> dict[str, tf.Tensor]:
    """The states among a model's outputs, by name."""
    if not isinstance(outputs, Mapping):
        return {}
    return {name: value for name, value in outputs.items() if name.startswith(STATE)}


def without_states(outputs: Any) -> Any:
    """A model's outputs without states; a single one as it is."""
    if not isinstance(outputs, Mapping):
        return outputs
    return {name: value for name, value in outputs.items() if not name.startswith(STATE)}


def as_arrays(states: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """States as a checkpoint holds them."""
    return {name: value.numpy() for name, value in states.items()}
