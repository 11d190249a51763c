"""Layers one behind the other, fed with a stream: their states as named tensors of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import tensorflow as tf

_PREFIX = "state_"


class Streaming(Protocol):
    """A layer that takes a signal in chunks.

    Fed chunk by chunk it gives the values that it gives for the whole. A stream begins with zeros
    in every state.
    """

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape without the batch axis, and dtype, of each state."""
        ...

    def step(
        self, x: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[Any, tf.Tensor, dict[str, tf.Tensor]]:
        """Take a chunk `(batch, time, …)`, give what it completes, its lengths and the states."""
        ...


class StreamChain:
    """Streaming layers in the order in which a chunk passes them.

    Args:
        layers: by name; the names are part of those of the states, `state_NAME_PART`.
    """

    def __init__(self, layers: Mapping[str, Streaming]) -> None:
        self._layers = dict(layers)

    def specs(self) -> dict[str, tf.TensorSpec]:
        """The states of all layers as a request holds them."""
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
            lengths: its real steps, `(batch,)` int32.
            states: as `specs` names them.

        Returns:
            What the last layer gives, its lengths, and the states for the next chunk.
        """
        after: dict[str, tf.Tensor] = {}
        for name, layer in self._layers.items():
            x, lengths, own = layer.step(x, lengths, unprefixed(name, layer.state_specs(), states))
            after.update(prefixed(name, own))
        return x, lengths, after


def prefixed(name: str, parts: Mapping[str, Any], *, as_spec: bool = False) -> dict[str, Any]:
    """A layer's states under the names that they have in a request.

    Args:
        name: of the layer.
        parts: tensors by name, or what `state_specs` gives.
        as_spec: whether it is the latter, to be made `tf.TensorSpec`s.
    """
    if not as_spec:
        return {_key(name, part): value for part, value in parts.items()}
    return {
        _key(name, part): tf.TensorSpec((None, *shape), dtype, _key(name, part))
        for part, (shape, dtype) in parts.items()
    }


def unprefixed(name: str, parts: Iterable[str], states: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's states from those of a request, under the layer's own names.

    Args:
        name: of the layer.
        parts: its own names for its states.
        states: of all layers.
    """
    return {part: states[_key(name, part)] for part in parts}


def _key(name: str, part: str) -> str:
    return f"{_PREFIX}{name}_{part}"
