"""What networks that forecast have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from apps.layers.recurrent_network import RecurrentNetwork


class Forecaster(RecurrentNetwork):
    """A network from windows to quantiles.

    Args:
        context: rows of a window.
        horizon: rows to forecast.
        targets: series of a window.
        levels: probabilities of the quantiles.
        scaling: of each window; see `window_scaling`.
        **given: arguments of `RecurrentNetwork`.

    Call arguments:
        inputs: `series` `(batch, context, targets)`, and where there are such `past` `(batch,
            context, channels)`, `future` and `calendar` `(batch, context + horizon, channels)` and
            `static` `(batch, channels)`; float32.
        training: whether dropout applies.

    Returns:
        Quantiles `(batch, horizon, targets, levels)`, rising.
    """

    def __init__(
        self,
        context: int,
        horizon: int,
        targets: int,
        levels: Sequence[float],
        *,
        scaling: str = "last",
        **given: Any,
    ) -> None:
        super().__init__(**given)
        self.context, self.horizon = context, horizon
        self.targets, self.levels = targets, list(levels)
        self.scaling = scaling

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        batch = inputs["series"].shape[0]
        return keras.KerasTensor((batch, self.horizon, self.targets, len(self.levels)))

    def get_config(self) -> dict[str, Any]:
        names = ("context", "horizon", "targets", "levels", "scaling")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
