"""What networks that forecast have in common."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import keras

_ARGUMENTS = (
    *("context", "horizon", "targets", "levels", "units", "depth", "scaling"),
    *("input_dropout", "layer_dropout", "weight_dropout", "output_dropout", "seed"),
)


class Forecaster(keras.layers.Layer):
    """A network from windows to quantiles.

    Args:
        context: rows of a window.
        horizon: rows to forecast.
        targets: series of a window.
        levels: probabilities of the quantiles.
        units: width of every LSTM, or one width for each layer.
        depth: layers.
        scaling: of each window; see `window_scaling`.
        input_dropout: share of what the first LSTM reads dropped.
        layer_dropout: share of the outputs dropped between layers.
        weight_dropout: share of the recurrent kernels' entries dropped.
        output_dropout: share of the features dropped before the forecast.
        seed: of weights and dropout.

    Call arguments:
        inputs: `series` `(batch, context, targets)`, and where there are such `past` `(batch,
            context, channels)`, `future` and `calendar` `(batch, context + horizon, channels)` and
            `static` `(batch, channels)`; float32.
        training: whether dropout applies.

    Returns:
        Quantiles `(batch, horizon, targets, levels)`, rising.

    Attributes:
        arguments: names of further arguments, which its config holds too.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        context: int,
        horizon: int,
        targets: int,
        levels: Sequence[float],
        *,
        units: int | Sequence[int],
        depth: int = 1,
        scaling: str = "last",
        input_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        output_dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.context, self.horizon = context, horizon
        self.targets, self.levels = targets, list(levels)
        self.units, self.depth, self.scaling = units, depth, scaling
        self.input_dropout, self.layer_dropout = input_dropout, layer_dropout
        self.weight_dropout, self.output_dropout = weight_dropout, output_dropout
        self.seed, self._seeds = seed, itertools.count(seed)

    def _dropouts(self) -> dict[str, Any]:
        """Those inside a stack of LSTMs."""
        return {
            "input_dropout": self.input_dropout,
            "dropout": self.layer_dropout,
            "weight_dropout": self.weight_dropout,
        }

    def _dense(self, width: int, name: str, activation: str | None = None, **given: Any) -> Any:
        start = keras.initializers.GlorotUniform(next(self._seeds))
        return keras.layers.Dense(
            width, activation, **{"kernel_initializer": start, **given}, name=name
        )

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        batch = inputs["series"].shape[0]
        return keras.KerasTensor((batch, self.horizon, self.targets, len(self.levels)))

    def get_config(self) -> dict[str, Any]:
        names = (*_ARGUMENTS, *self.arguments)
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
