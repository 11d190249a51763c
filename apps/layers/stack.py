"""A stack of LSTM layers on the fused kernels, with the kinds of dropout that they support."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.configuration import StackConfig
from apps.layers.lstm import LSTM


@keras.saving.register_keras_serializable(package="apps")
class LSTMStack(keras.layers.Layer):
    """A stack of LSTM layers.

    Args:
        units: width of every layer, or one width per layer.
        depth: number of layers; leave it out if `units` gives one width per layer.
        bidirectional: run each layer in both directions and join the results, `2 * units` wide.
        dropout: share of each layer's outputs dropped on the way to the next layer, one mask for
            all steps (Gal and Ghahramani, "A theoretically grounded application of dropout in
            recurrent neural networks", NeurIPS 2016, section 4).
        input_dropout: the same for the inputs of the first layer.
        weight_dropout: share of every recurrent kernel's entries dropped in training.
        chrono: longest range of dependencies in steps, for the gates' initial biases.
        return_sequences: return the last layer's outputs at all steps, not only at the last.
        return_state: also return every layer's hidden and cell state; unidirectional only.
        seed: seed of all dropout and of the chrono biases.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        sequences: `(batch, time, features)`.
        initial_state: hidden and cell state of each layer from the bottom up, `(batch, units)`
            each, as `return_state` returns them. If each chunk of a stream gets the states of the
            chunk before, the outputs equal those of the whole. Unidirectional only.
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
        chrono: float | None = None,
        return_sequences: bool = True,
        return_state: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
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
        self.chrono = chrono
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.seed = seed
        self.supports_masking = True
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

    def build(self, sequences_shape, initial_state_shape=None):
        shape = tuple(sequences_shape)
        for layer, units in zip(self.layers, self.units, strict=True):
            layer.build(shape)
            shape = (*shape[:2], 2 * units if self.bidirectional else units)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        if initial_state is not None:
            self._check_states(initial_state)
        states = []
        output = sequences
        for level, layer in enumerate(self.layers):
            first = None if initial_state is None else initial_state[2 * level : 2 * level + 2]
            output = layer(output, initial_state=first, mask=mask, training=training)
            if self.return_state:
                output, *after = output
                states.extend(after)
        return (output, *states) if self.return_state else output

    def _check_states(self, initial_state) -> None:
        if self.bidirectional:
            raise ValueError("a bidirectional stack takes no initial_state; leave it out")
        if len(initial_state) != 2 * len(self.units):
            raise ValueError(
                f"initial_state must hold {2 * len(self.units)} tensors, a hidden and a cell "
                f"state for each layer, not {len(initial_state)}"
            )

    def get_initial_state(self, batch_size: int) -> list:
        """Zero states for the start of a stream, `(batch_size, units)` each, from the bottom up."""
        return [
            keras.ops.zeros((batch_size, units), dtype=self.compute_dtype)
            for units in self.units
            for _ in range(2)
        ]

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
        return {
            f"{kind}_{level}": ((units,), "float32")
            for level, units in enumerate(self.units)
            for kind in ("hidden", "cell")
        }

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

    def advance(self, x: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Run one step by plain products, as loops inside a graph need it.

        Args:
            x: `(batch, features)`.
            states: hidden and cell state of each layer from the bottom up, `(batch, units)` each.

        Returns:
            The next states in the same order; the last hidden state is the stack's output.
        """
        after: list[tf.Tensor] = []
        for layer, hidden, cell in zip(self.layers, states[::2], states[1::2], strict=True):
            x, cell = layer.advance(x, hidden, cell)
            after += [x, cell]
        return tuple(after)

    def compute_mask(self, sequences, mask=None):
        mask = mask if self.return_sequences else None
        return [mask] + [None] * (2 * len(self.units)) if self.return_state else mask

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch = sequences_shape[0]
        width = 2 * self.units[-1] if self.bidirectional else self.units[-1]
        output = (*sequences_shape[:2], width) if self.return_sequences else (batch, width)
        if not self.return_state:
            return output
        return (output, *((batch, units) for units in self.units for _ in range(2)))

    def get_config(self):
        names = (
            "units",
            "bidirectional",
            "dropout",
            "input_dropout",
            "weight_dropout",
            "chrono",
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


def lstm_stack(config: StackConfig, seed: int | None = None, **changes: Any) -> LSTMStack:
    """The stack that a config describes, under the name `lstm`.

    Args:
        config: with depth, widths, directions and dropout.
        seed: seed of all dropout.
        **changes: arguments of `LSTMStack` that differ from the config's.
    """
    arguments: dict[str, Any] = {
        "units": config.units,
        "depth": config.depth,
        "bidirectional": config.bidirectional,
        "input_dropout": config.input_dropout,
        "dropout": config.layer_dropout,
        "weight_dropout": config.weight_dropout,
        "seed": seed,
        "name": "lstm",
    }
    return LSTMStack(**{**arguments, **changes})
