"""Forecasting: what series of numbers will be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from apps.application import Application, Tiny
from apps.components import Adaptation, Batches
from apps.configuration import StackConfig, changed, fixed, searched
from apps.data import Examples
from apps.data.panels import windows
from apps.data.panels.windows import SERIES
from apps.inputs.histories import Histories, HistoriesConfig
from apps.layers.forecasting.direct import DirectForecaster
from apps.layers.forecasting.segments import SegmentForecaster
from apps.layers.forecasting.window_scaling import SCALINGS
from apps.layers.quantile_shift import QuantileShift
from apps.tasks.quantiles import Quantiles, QuantilesConfig
from apps.tasks.quantiles.baselines import linear_map, linear_rows
from apps.timeseries.sample_sales import sample_sales

# Steps that a window of segments has, unless the user says it.
_SEGMENTS = 15
# Rows of a batch are series of one target each.
_SERIES = 448
_SHOWN_TARGETS = 4
# Windows, and numbers of their forecasts, by which intervals are calibrated.
_CALIBRATED, _NUMBERS = 3000, 30_000_000


@dataclass(frozen=True)
class ForecastingConfig(HistoriesConfig, QuantilesConfig, StackConfig):
    """Hyperparameters of the forecasting model; `searched` ones are what tuning varies.

    `model` is `segments`, LSTMs over `segment` rows at a time and each target by itself, or
    `direct`, LSTMs over every row and all targets together. `scaling` says what is taken off each
    window: its `last` value, its `mean`, mean and deviation (`standard`) or nothing. With `linear`,
    a linear map that is fitted first stands beside the LSTMs over segments.
    """

    epochs: int = changed(10)
    patience: int = changed(4)
    learning_rate: float = changed(1e-3)
    batch_size: int = changed(64, span=(16, 256))
    validation_fraction: float = changed(0.2)
    units: int | tuple[int, ...] = changed(128, span=(32, 512))
    bidirectional: bool = changed(False, searched=False, choices=(False,))
    input_dropout: float = changed(0.0)
    weight_dropout: float = changed(0.0)
    output_dropout: float = changed(0.5)
    model: str = searched("segments", choices=("segments", "direct"))
    segment: int | None = fixed(None, low=1, high=10_000)
    scaling: str = searched("last", choices=SCALINGS)
    linear: bool = searched(True, choices=(False, True))


class Forecasting(Application):
    """LSTM encoder and decoder over segments, or one LSTM over rows, to quantiles."""

    name = "forecasting"
    input: Histories = Histories()
    task: Quantiles = Quantiles()
    Config = ForecastingConfig
    config: ForecastingConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_sales(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        sizes = {"context": 28, "horizon": 7, "units": 8, "segment": 7, "levels": "0.1,0.5,0.9"}
        settings = {"epochs": 3, "batch_size": 32, "learning_rate": 0.01, "calendar": True}
        return Tiny(sample_sales(0, stores=2, days=150), {**sizes, **settings})

    @classmethod
    def settings_for(cls, units: Examples) -> Mapping[str, Any]:
        """Sizes that follow from the series, and as many windows a batch as fill it."""
        targets = units[SERIES][0].targets.shape[1]
        context, horizon, season = cls.input.bound(cls.Config(), 0, {}).sizes(units)
        return {
            "context": context,
            "horizon": horizon,
            "season": season,
            "segment": max(context // _SEGMENTS, 1),
            "batch_size": int(np.clip(_SERIES // targets, 8, 64)),
        }

    def adapt(self, examples: Examples) -> Adaptation:
        self._line = None
        if self._linear:
            self._line = linear_map(examples, self.input.scaling, self.config)
        return Adaptation({"shift": QuantileShift(name="shift")})

    @property
    def _linear(self) -> int:
        """Rows that the linear map reads."""
        config = self.config
        fits = config.linear and config.model == "segments" and config.scaling == "last"
        return linear_rows(config.context) if fits else 0

    def build(self) -> keras.Model:
        config = self.config
        raw = self.input.prepare(self.input.raw_inputs())
        inputs = {
            name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
            for name, tensor in raw.items()
            if name != "time"
        }
        sizes = {
            "context": config.context,
            "horizon": config.horizon,
            "targets": len(self.input.channels.targets),
            "levels": len(config.probabilities),
            "units": config.units,
            "depth": config.depth,
            "scaling": config.scaling,
        }
        dropout = {
            name: getattr(config, name)
            for name in ("input_dropout", "layer_dropout", "weight_dropout", "output_dropout")
        }
        if config.model == "direct":
            layer = DirectForecaster(**sizes, **dropout, seed=self.seed, name="forecaster")
        else:
            layer = SegmentForecaster(
                **sizes,
                **dropout,
                segment=config.segment,
                linear=self._linear,
                seed=self.seed,
                name="forecaster",
            )
        quantiles = layer(inputs)
        if self._linear:
            layer.line.assign(self._line)
        return keras.Model(inputs, self.adapted["shift"](quantiles))

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:
        """Widen or narrow the intervals until they cover what they say."""
        if not self.config.conformal:
            return
        window = math.prod(self.model.output.shape[1:])
        batches = held_out(self.inference(), max(min(_CALIBRATED, _NUMBERS // window), 1))
        quantiles = np.concatenate([outputs for _, outputs in batches])
        target = np.concatenate([batch["target"] for batch, _ in batches])
        self.adapted["shift"].calibrate(quantiles, target, self.task.levels)

    def track(self, example: Examples) -> Mapping[str, Any]:
        """History, truth and bands of the first targets of a window."""
        config, scaling = self.config, self.input.scaling
        view = self.view(example, targets=False)
        batch = view.fetch(next(iter(view.sweep(1))))
        outputs = np.asarray(self.model({t.name: batch[t.name] for t in self.model.inputs}))
        quantiles = scaling.restored(SERIES, outputs[0].swapaxes(1, 2)).swapaxes(1, 2)
        one, start = example[SERIES][0], int(example[windows.START][0])
        history = windows.history(one, start, config.context)
        ahead = windows.ahead(one, start, config.context, config.horizon)
        shown = 2 * config.horizon
        return {
            "forecasts": [
                {
                    "target": name,
                    "history": history[-shown:, number].tolist(),
                    "truth": [v if np.isfinite(v) else None for v in ahead[:, number].tolist()],
                    "quantiles": quantiles[:, number].tolist(),
                    "levels": list(config.probabilities),
                }
                for number, name in enumerate(self.input.channels.targets[:_SHOWN_TARGETS])
            ]
        }
