"""Stocks: what a price, or its volatility, will be over the next rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from apps.application import Application, Tiny
from apps.components import Adaptation, Batches
from apps.configuration import StackConfig, changed, fixed
from apps.data import Examples
from apps.inputs.prices import FEATURES, Prices, PricesConfig
from apps.layers.forecasting.outcome import OutcomeForecaster, linear_start
from apps.layers.price_features import MONTH
from apps.layers.quantile_shift import QuantileShift
from apps.tasks.quantiles import QuantilesConfig
from apps.tasks.quantiles.baselines import spread
from apps.tasks.quantiles.outcome import Outcome
from apps.timeseries.sample_prices import sample_prices

# Windows to which the linear part is fitted, and by which intervals are calibrated.
_FITTED, _CALIBRATED = 50_000, 20_000


@dataclass(frozen=True)
class StocksConfig(PricesConfig, QuantilesConfig, StackConfig):
    """Hyperparameters of the model of prices; `searched` ones are what tuning varies.

    `cost` is the share of its value that a change of position costs in the report's backtest.
    """

    epochs: int = changed(20)
    patience: int = changed(5)
    learning_rate: float = changed(1e-3)
    batch_size: int = changed(64, span=(32, 256))
    validation_fraction: float = changed(0.2)
    units: int | tuple[int, ...] = changed(32, span=(8, 128))
    bidirectional: bool = changed(False, searched=False, choices=(False,))
    input_dropout: float = changed(0.0)
    weight_dropout: float = changed(0.2)
    output_dropout: float = changed(0.4)
    cost: float = fixed(0.001, low=0.0, high=0.5)


class Stocks(Application):
    """An LSTM over features of quotes beside a linear part, to quantiles of one number."""

    name = "stocks"
    input: Prices = Prices()
    task: Outcome = Outcome()
    Config = StocksConfig
    config: StocksConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_prices(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        sizes = {"context": MONTH + 8, "units": 8, "levels": "0.1,0.5,0.9"}
        settings = {"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "output_dropout": 0.0}
        return Tiny(sample_prices(0, days=300), {**sizes, **settings})

    @classmethod
    def settings_for(cls, units: Examples) -> Mapping[str, Any]:
        """The window, which is shorter where series are."""
        context, _, _ = cls.input.bound(cls.Config(), 0, {}).sizes(units)
        return {"context": context}

    def adapt(self, examples: Examples) -> Adaptation:
        chosen = examples.select(spread(len(examples), _FITTED))
        numbers = np.arange(len(chosen))
        features = self.input.tensors(chosen)[FEATURES].fetch(numbers, 0)[:, -1]
        target = self.task.targets(chosen)["target"].fetch(numbers, 0)[:, 0, 0]
        self._start = linear_start(features, target, self.config.probabilities)
        return Adaptation({"shift": QuantileShift(name="shift")})

    def build(self) -> keras.Model:
        config = self.config
        shape = (config.context - MONTH, len(self.input.features.names))
        features = keras.Input(shape, name=FEATURES)
        layer = OutcomeForecaster(
            config.probabilities,
            units=config.units,
            depth=config.depth,
            input_dropout=config.input_dropout,
            layer_dropout=config.layer_dropout,
            weight_dropout=config.weight_dropout,
            output_dropout=config.output_dropout,
            seed=self.seed,
            name="forecaster",
        )
        quantiles = layer(features)
        layer.begin(self._start)
        return keras.Model({FEATURES: features}, self.adapted["shift"](quantiles))

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:
        """Widen or narrow the intervals until they cover what they say."""
        if not self.config.conformal:
            return
        batches = held_out(self.inference(), _CALIBRATED)
        quantiles = np.concatenate([outputs for _, outputs in batches])
        target = np.concatenate([batch["target"] for batch, _ in batches])
        self.adapted["shift"].calibrate(quantiles, target, self.task.levels)
