"""A stack of LSTM layers on the fused kernels, with the kinds of dropout that they support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.lstm import LSTM
from apps.layers.sequence_stack import SequenceStack


@keras.saving.register_keras_serializable(package="apps")
class LSTMStack(SequenceStack):
    """A stack of LSTM layers.

    Args:
        units: width of every layer, or one width per layer.
        depth: number of layers; leave it out if `units` gives one width per layer.
        chrono: longest range of dependencies in steps, for the gates' initial biases.
        **given: arguments of `SequenceStack`; the states of a layer are hidden and cell state.

    Call arguments, returns and raises: as `SequenceStack` has them.
    """

    def __init__(
        self,
        units: int | Sequence[int],
        depth: int | None = None,
        *,
        chrono: float | None = None,
        **given: Any,
    ) -> None:
        super().__init__(units, depth, **given)
        self.chrono = chrono
        self.layers = [self._layer(level) for level in range(len(self.units))]

    def _layer(self, level: int) -> keras.layers.Layer:
        lstm = LSTM(
            self.units[level],
            dropout=self.dropout if level else self.input_dropout,
            weight_dropout=self.weight_dropout,
            chrono=self.chrono,
            return_sequences=self.return_sequences or level < len(self.units) - 1,
            return_state=self.return_state,
            # With one seed, all levels would drop the same units and weights.
            seed=None if self.seed is None else self.seed + level,
            dtype=self.dtype_policy,
            name=f"lstm_{level}",
        )
        if not self.bidirectional:
            return lstm
        both = keras.layers.Bidirectional(lstm, dtype=self.dtype_policy, name=f"both_{level}")
        # Bidirectional copies `lstm`. While it loads a model, Keras knows copied layers by id(), so
        # `lstm` must live on: a layer made later with its id() would be taken for it. Held by a
        # function, it stays out of the layers that Keras tracks and saves.
        both.copied_from = lambda: lstm
        return both

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        shape = tuple(sequences_shape)
        for layer, units in zip(self.layers, self.units, strict=True):
            layer.build(shape)
            shape = (*shape[:2], 2 * units if self.bidirectional else units)

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        if initial_state is not None:
            self._check_states(initial_state)
        states: list[Any] = []
        output = sequences
        for level, layer in enumerate(self.layers):
            first = None if initial_state is None else initial_state[2 * level : 2 * level + 2]
            output = layer(output, initial_state=first, mask=mask, training=training)
            if self.return_state:
                output, *after = output
                states.extend(after)
        return (output, *states) if self.return_state else output

    def state_widths(self) -> dict[str, int]:
        return {
            f"{kind}_{level}": units
            for level, units in enumerate(self.units)
            for kind in ("hidden", "cell")
        }

    def advance(self, x: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        after: list[tf.Tensor] = []
        for layer, hidden, cell in zip(self.layers, states[::2], states[1::2], strict=True):
            x, cell = layer.advance(x, hidden, cell)
            after += [x, cell]
        return tuple(after)

    def output_of(self, states: Sequence[tf.Tensor]) -> tf.Tensor:
        return states[-2]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "chrono": self.chrono}
