"""What all stacks of layers over sequences share: widths, directions, states of streams."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


class SequenceStack(keras.layers.Layer):
    """Layers over a sequence, one above the other.

    Args:
        units: width of every layer, or one width per layer.
        depth: number of layers; leave it out if `units` gives one width per layer.
        bidirectional: run each layer in both directions and join the results, `2 * units` wide.
        dropout: share of each layer's outputs dropped on the way to the next layer, one mask for
            all steps (Gal and Ghahramani, "A theoretically grounded application of dropout in
            recurrent neural networks", NeurIPS 2016, section 4).
        input_dropout: the same for the inputs of the first layer.
        weight_dropout: share of every recurrent kernel's entries dropped in training.
        return_sequences: return the last layer's outputs at all steps, not only at the last.
        return_state: also return every layer's states; unidirectional only.
        seed: seed of weights and dropout.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: the states of each layer from the bottom up, `(batch, width)` each, as
            `return_state` returns them. If each chunk of a stream gets the states of the chunk
            before, the outputs equal those of the whole. Unidirectional only.
        mask: which steps count, `(batch, time)`, bool.
        training: apply dropout.

    Returns:
        The output, `(batch, time, width)` or `(batch, width)`; with `return_state` a tuple of it
        and the states.

    Raises:
        ValueError: `depth` contradicts `units`, or a bidirectional stack is asked for states.
    """

    def __init__(
        self,
        units: int | Sequence[int],
        depth: int | None = None,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        return_sequences: bool = True,
        return_state: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = _widths(units, depth)
        if bidirectional and return_state:
            raise ValueError(
                "a bidirectional stack has no state to carry on from: its backward layers start "
                "at the end; leave return_state out or set bidirectional=False"
            )
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_dropout = weight_dropout
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.seed = seed
        self.supports_masking = True

    @abstractmethod
    def state_widths(self) -> dict[str, int]:
        """Name and width of each state, from the bottom up."""

    @abstractmethod
    def advance(self, x: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Run one step by plain products, as loops inside a graph need it.

        Args:
            x: `(batch, features)`.
            states: of each layer from the bottom up, `(batch, width)` each.

        Returns:
            The next states in the same order.
        """

    @abstractmethod
    def output_of(self, states: Sequence[tf.Tensor]) -> tf.Tensor:
        """The stack's output at the step after which it has these states, `(batch, units)`."""

    def _check_states(self, initial_state: Sequence[Any]) -> None:
        if self.bidirectional:
            raise ValueError("a bidirectional stack takes no initial_state; leave it out")
        names = self.state_widths()
        if len(initial_state) != len(names):
            raise ValueError(
                f"initial_state must hold {len(names)} tensors ({', '.join(names)}), not "
                f"{len(initial_state)}"
            )

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Zero states for the start of a stream, `(batch_size, width)` each, from the bottom up."""
        widths = self.state_widths().values()
        return [keras.ops.zeros((batch_size, width), dtype=self.compute_dtype) for width in widths]

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries.

        Raises:
            ValueError: the stack returns no states, or not the output of every step.
        """
        if not (self.return_state and self.return_sequences):
            raise ValueError(
                "to stream, a stack needs return_state=True and return_sequences=True, and so "
                "must be unidirectional"
            )
        return {name: ((width,), "float32") for name, width in self.state_widths().items()}

    def step(
        self, x: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Run the next steps of a stream.

        Args:
            x: `(batch, steps, features)`; steps may be 0.
            lengths: real steps of each row, `(batch,)` int32; a row without steps keeps its state.
            state: tensors as `state_specs` lists them, zeros at the start of a stream.

        Returns:
            The outputs, `(batch, steps', width)`; the number of real ones in each row, `(batch,)`
            int32; and the next state.
        """
        names = list(self.state_specs())
        lengths = tf.cast(lengths, tf.int32)
        # The kernels need at least one step, so an empty chunk gets a masked one.
        x = tf.pad(x, [[0, 0], [0, tf.maximum(1 - tf.shape(x)[1], 0)], [0, 0]])
        before = [tf.cast(state[name], self.compute_dtype) for name in names]
        output, *after = self(x, before, mask=tf.sequence_mask(lengths, tf.shape(x)[1]))
        carried = (tf.cast(tensor, tf.float32) for tensor in after)
        return output, lengths, dict(zip(names, carried, strict=True))

    def compute_mask(self, sequences: Any, mask: Any = None) -> Any:
        mask = mask if self.return_sequences else None
        return [mask] + [None] * len(self.state_widths()) if self.return_state else mask

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch = sequences_shape[0]
        width = 2 * self.units[-1] if self.bidirectional else self.units[-1]
        output = (*sequences_shape[:2], width) if self.return_sequences else (batch, width)
        if not self.return_state:
            return output
        return (output, *((batch, width) for width in self.state_widths().values()))

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "bidirectional",
            "dropout",
            "input_dropout",
            "weight_dropout",
            "return_sequences",
            "return_state",
            "seed",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _widths(units: int | Sequence[int], depth: int | None) -> list[int]:
    """One width per layer."""
    if isinstance(units, int):
        widths = [units] * (1 if depth is None else depth)
    else:
        widths = [int(width) for width in units]
        if depth is not None and depth != len(widths):
            raise ValueError(f"units gives {len(widths)} layers, depth {depth}; leave depth out")
    if not widths or min(widths) < 1:
        raise ValueError("a stack needs at least one layer, and every layer at least one unit")
    return widths
