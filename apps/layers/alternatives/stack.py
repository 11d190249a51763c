"""A stack of layers that stand where LSTMs stand otherwise, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.configuration import StackConfig
from apps.layers.alternatives.attention import CausalAttention
from apps.layers.alternatives.matrix_memory import MatrixMemory
from apps.layers.alternatives.min_lstm import MinLSTM
from apps.layers.alternatives.recurrent import GatedRecurrentUnit, SimpleRecurrence
from apps.layers.alternatives.sequence_layer import ResidualBlock, SequenceLayer
from apps.layers.alternatives.state_space import DiagonalStateSpace
from apps.layers.sequence_stack import SequenceStack
from apps.layers.sequences import Layout
from apps.layers.stack import LSTMStack

# Layers that are stacked as they are, and those that stand in residual blocks, as where they were
# published.
PLAIN: Mapping[str, Callable[..., SequenceLayer]] = {
    "gru": GatedRecurrentUnit,
    "rnn": SimpleRecurrence,
}
MIXERS: Mapping[str, Callable[..., SequenceLayer]] = {
    "minlstm": MinLSTM,
    "mlstm": MatrixMemory,
    "ssm": DiagonalStateSpace,
    "transformer": CausalAttention,
}
# Names of a further state: the output after the last step.
_OUTPUT = "output"


@keras.saving.register_keras_serializable("apps")
class AlternativeStack(SequenceStack):
    """A stack of other layers than LSTMs, used like `LSTMStack`.

    Args:
        units: width of every layer, or one width per layer.
        depth: number of layers; leave it out if `units` gives one width per layer.
        kind: a name of `PLAIN` or `MIXERS`.
        **given: arguments of `SequenceStack`; none has recurrent kernels whose entries it drops.

    Call arguments, returns and raises: as `SequenceStack` has them.
    """

    def __init__(
        self, units: int | Sequence[int], depth: int | None = None, *, kind: str, **given: Any
    ) -> None:
        super().__init__(units, depth, **given)
        self.kind = kind
        directions = ("forward", "backward") if self.bidirectional else ("forward",)
        self.layers = [
            [self._layer(level, number, name) for number, name in enumerate(directions)]
            for level in range(len(self.units))
        ]
        rates = [self.dropout if level else self.input_dropout for level in range(len(self.units))]
        self.dropouts = [
            keras.layers.Dropout(
                rate, noise_shape=(None, 1, None), seed=self.seed, name=f"dropout_{level}"
            )
            for level, rate in enumerate(rates)
        ]

    def _layer(self, level: int, direction: int, name: str) -> SequenceLayer:
        seed = None if self.seed is None else self.seed + 2 * level + direction
        about: dict[str, Any] = {"seed": seed, "dtype": self.dtype_policy}
        if self.kind in PLAIN:
            return PLAIN[self.kind](self.units[level], name=f"{name}_{level}", **about)
        mixer = MIXERS[self.kind](self.units[level], name=self.kind, **about)
        closing = level == len(self.units) - 1
        return ResidualBlock(mixer, closing=closing, name=f"{name}_{level}", **about)

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        shape = tuple(sequences_shape)
        for layers, units in zip(self.layers, self.units, strict=True):
            for layer in layers:
                layer.build(shape)
            shape = (*shape[:2], len(layers) * units)

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        if initial_state is not None:
            self._check_states(initial_state)
        x = tf.cast(sequences, self.compute_dtype)
        layout = lengths = None
        if mask is not None:
            layout = Layout.of(tf.broadcast_to(mask, tf.shape(x)[:2]), False)
            x, lengths = layout.gather(x), layout.lengths
        # The last of the states is the output.
        before = None if initial_state is None else list(initial_state[:-1])
        after: list[tf.Tensor] = []
        for dropout, layers in zip(self.dropouts, self.layers, strict=True):
            x = dropout(x, training=training)
            own = None
            if before is not None:
                count = len(layers[0].state_widths())
                own, before = before[:count], before[count:]
            said, states = layers[0](x, own, lengths, training=training)
            after += states
            if self.bidirectional:
                back, _ = layers[1](_turned(x, lengths), None, lengths, training=training)
                said = tf.concat([said, _turned(back, lengths)], -1)
            x = said
        output = x
        if layout is not None:
            output = layout.scatter(x, False)
        if not self.return_sequences or self.return_state:
            last = self._last(x, lengths, initial_state)
            output = output if self.return_sequences else last
        return (output, *after, last) if self.return_state else output

    def _last(self, x: tf.Tensor, lengths: tf.Tensor | None, states: Any) -> tf.Tensor:
        """The output at each row's last real step; in a bidirectional stack, at both ends."""
        if lengths is None:
            last = x[:, -1]
        else:
            last = tf.gather(x, tf.maximum(lengths - 1, 0), batch_dims=1)
            before = tf.zeros_like(last) if states is None else states[-1]
            last = tf.where(lengths[:, None] > 0, last, before)
        if not self.bidirectional:
            return last
        units = self.units[-1]
        return tf.concat([last[:, :units], x[:, 0, units:]], -1)

    def state_widths(self) -> dict[str, int]:
        widths = {
            f"{name}_{level}": width
            for level, layers in enumerate(self.layers)
            for name, width in layers[0].state_widths().items()
        }
        return {**widths, _OUTPUT: self.units[-1]}

    def advance(self, x: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        rest = list(states[:-1])
        after: list[tf.Tensor] = []
        for layers in self.layers:
            count = len(layers[0].state_widths())
            x, own = layers[0].advance(x, rest[:count])
            after, rest = [*after, *own], rest[count:]
        return (*after, x)

    def output_of(self, states: Sequence[tf.Tensor]) -> tf.Tensor:
        return states[-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}


def _turned(x: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """The real steps of each row in the opposite order."""
    return tf.reverse(x, [1]) if lengths is None else tf.reverse_sequence(x, lengths, seq_axis=1)


def sequence_stack(
    kind: str,
    units: int | Sequence[int],
    depth: int | None = None,
    *,
    chrono: float | None = None,
    **given: Any,
) -> SequenceStack:
    """A stack of LSTMs or of others; arguments as `StackConfig` and `SequenceStack` have them."""
    if kind == "lstm":
        return LSTMStack(units, depth, chrono=chrono, **given)
    return AlternativeStack(units, depth, kind=kind, **given)


def stack_of(config: StackConfig, seed: int | None = None, **changes: Any) -> SequenceStack:
    """The stack that a config describes.

    Args:
        config: with kind, depth, widths, directions and dropout.
        seed: seed of all dropout.
        **changes: arguments of `SequenceStack` that differ from the config's.
    """
    arguments: dict[str, Any] = {
        "units": config.units,
        "depth": config.depth,
        "bidirectional": config.bidirectional,
        "input_dropout": config.input_dropout,
        "dropout": config.layer_dropout,
        "weight_dropout": config.weight_dropout,
        "chrono": config.chrono,
        "seed": seed,
        # Streams find the stack under this name, whatever its layers are.
        "name": "lstm",
    }
    return sequence_stack(config.stack, **{**arguments, **changes})
