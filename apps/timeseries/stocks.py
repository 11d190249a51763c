"""Stocks: what a price, or its volatility, will be over the next rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from apps.application import Application, Tiny
from apps.configuration import StackConfig, changed, fixed
from apps.data import Examples
from apps.inputs.prices import FEATURES, Prices, PricesConfig
from apps.layers.forecasting.outcome import LinearStart, OutcomeForecaster
from apps.layers.price_features import MONTH
from apps.layers.recurrent_network import network_of
from apps.tasks.quantiles import QuantilesConfig
from apps.tasks.quantiles.baselines import spread
from apps.tasks.quantiles.outcome import Outcome
from apps.timeseries.sample_prices import sample_prices

# Windows to which the linear part is fitted.
_FITTED = 20_000


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
    conformal: str = changed("each")
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

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        """The window, which is shorter where series are."""
        context, _, _ = self.input.sizes(units)
        return {"context": context}

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        chosen = examples.select(spread(len(examples), _FITTED))
        numbers = np.arange(len(chosen))
        targets = self.task.targets(chosen)
        target = targets["target"].fetch(numbers, 0)[:, 0, 0].astype(np.float64)
        order = np.argsort(targets["moment"].fetch(numbers, 0), kind="stable")
        order = order[np.isfinite(target[order])]
        features = self.input.tensors(chosen)[FEATURES].fetch(numbers, 0)[:, -1]
        market, known = self.task.market, self.input.features
        ranges = {"high", "low"} <= set(known.channels["targets"])
        later = None
        if ranges and market.returns_asked:
            (later,) = market.last_rows(chosen, lambda one: (market.volatility_ahead(one),))
        volatility = [known.names.index(name) for name in ("volatility", "week", "month")]
        level = [known.names.index(n) for n in ("level", "from_week", "from_month") if known.level]
        self._start = LinearStart(
            features[order],
            target[order],
            self.task.levels,
            level if market.returns_asked else volatility,
            volatility,
            None if later is None else later[order],
        ).fitted()
        return {}

    def build(self) -> keras.Model:
        config = self.config
        shape = (self.input.window[0] - MONTH, len(self.input.features.names))
        features = keras.Input(shape, name=FEATURES)
        stack = network_of(config)
        layer = OutcomeForecaster(config.probabilities, **stack, seed=self.seed, name="forecaster")
        quantiles = layer(features)
        layer.begin(self._start)
        return keras.Model({FEATURES: features}, self.adapted["shift"](quantiles))
