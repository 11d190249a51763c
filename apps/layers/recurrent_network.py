"""What layers that hold a stack of LSTMs have in common."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from apps.configuration import StackConfig
from apps.layers.alternatives.stack import sequence_stack
from apps.layers.sequence_stack import SequenceStack

_DROPOUT = ("input_dropout", "layer_dropout", "weight_dropout", "output_dropout")
_ARGUMENTS = (
    *("kind", "units", "depth", "chrono", "seed"),
    *_DROPOUT,
)


def network_of(config: StackConfig) -> dict[str, Any]:
    """What a config says of the stack inside a `RecurrentNetwork`, as its arguments."""
    given = {name: getattr(config, name) for name in ("units", "depth", "chrono", *_DROPOUT)}
    return {**given, "kind": config.stack}


class RecurrentNetwork(keras.layers.Layer):
    """A network around a stack of LSTMs.

    Args:
        kind: what stands in the LSTMs' place, as `apps.layers.alternatives.stack` names it.
        units: width of every LSTM, or one width for each layer.
        depth: layers.
        input_dropout: share of what the first LSTM reads dropped.
        layer_dropout: share of the outputs dropped between layers.
        weight_dropout: share of the recurrent kernels' entries dropped.
        output_dropout: share of the features dropped before what is said of them.
        seed: of weights and dropout.
        chrono: longest range of dependencies in steps, for the gates' initial biases.
        **kwargs: arguments of `keras.layers.Layer`.

    Attributes:
        arguments: names of further arguments, which its config holds too.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        units: int | Sequence[int],
        depth: int = 1,
        input_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        output_dropout: float = 0.0,
        seed: int = 0,
        kind: str = "lstm",
        chrono: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind, self.units, self.depth, self.chrono = kind, units, depth, chrono
        self.input_dropout, self.layer_dropout = input_dropout, layer_dropout
        self.weight_dropout, self.output_dropout = weight_dropout, output_dropout
        self.seed, self._seeds = seed, itertools.count(seed)

    def _lstms(self, seed: int, **given: Any) -> SequenceStack:
        """A stack of LSTMs with the network's sizes and dropout, unless others are given."""
        usual = {
            "input_dropout": self.input_dropout,
            "dropout": self.layer_dropout,
            "weight_dropout": self.weight_dropout,
            "chrono": self.chrono,
            "name": "lstm",
        }
        return sequence_stack(self.kind, self.units, self.depth, seed=seed, **{**usual, **given})

    def _dense(self, width: int, name: str, activation: str | None = None, **given: Any) -> Any:
        start = keras.initializers.GlorotUniform(next(self._seeds))
        return keras.layers.Dense(
            width, activation, **{"kernel_initializer": start, **given}, name=name
        )

    def get_config(self) -> dict[str, Any]:
        names = (*_ARGUMENTS, *self.arguments)
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
