"""A chain of streaming layers, with their states as named tensors of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import tensorflow as tf

_PREFIX = "state_"


class Streaming(Protocol):
    """A layer that processes a signal in chunks.

    The chunks' outputs equal those of the whole signal. Every state is zero at the start of a
    stream.
    """

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state."""
        ...

    def step(
        self, x: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[Any, tf.Tensor, dict[str, tf.Tensor]]:
        """Process a chunk `(batch, time, …)`: what it completes, its lengths and the states."""
        ...


class StreamChain:
    """Streaming layers, each of which processes the output of the one before.

    Args:
        layers: the layers by name, in order; their states are named `state_NAME_PART`.
    """

    def __init__(self, layers: Mapping[str, Streaming]) -> None:
        self._layers = dict(layers)

    def specs(self) -> dict[str, tf.TensorSpec]:
        """Specs of all layers' states, under their names in a request."""
        found: dict[str, tf.TensorSpec] = {}
        for name, layer in self._layers.items():
            found.update(prefixed(name, layer.state_specs(), as_spec=True))
        return found

    def __call__(
        self, x: tf.Tensor, lengths: tf.Tensor, states: Mapping[str, tf.Tensor]
    ) -> tuple[Any, tf.Tensor, dict[str, tf.Tensor]]:
        """Pass a chunk through all layers.

        Args:
            x: the chunk, `(batch, time, …)`.
            lengths: real steps of each row, `(batch,)` int32.
            states: tensors as `specs` names them.

        Returns:
            The last layer's outputs, their lengths, and the states for the next chunk.
        """
        after: dict[str, tf.Tensor] = {}
        for name, layer in self._layers.items():
            x, lengths, own = layer.step(x, lengths, unprefixed(name, layer.state_specs(), states))
            after.update(prefixed(name, own))
        return x, lengths, after


def prefixed(name: str, parts: Mapping[str, Any], *, as_spec: bool = False) -> dict[str, Any]:
    """A layer's states under their names in a request.

    Args:
        name: name of the layer.
        parts: tensors by name, or what `state_specs` returns.
        as_spec: `parts` is what `state_specs` returns; make `tf.TensorSpec`s of it.
    """
    if not as_spec:
        return {_key(name, part): value for part, value in parts.items()}
    return {
        _key(name, part): tf.TensorSpec((None, *shape), dtype, _key(name, part))
        for part, (shape, dtype) in parts.items()
    }


def unprefixed(name: str, parts: Iterable[str], states: Mapping[str, Any]) -> dict[str, Any]:
    """Pick a layer's states from those of a request, under the layer's own names.

    Args:
        name: name of the layer.
        parts: the layer's own names for its states.
        states: the states of all layers.
    """
    return {part: states[_key(name, part)] for part in parts}


def _key(name: str, part: str) -> str:
    return f"{_PREFIX}{name}_{part}"
