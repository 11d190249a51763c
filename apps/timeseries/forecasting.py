"""Forecasting: what series of numbers will be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Application, Tiny
from apps.components import Batches, Tensors
from apps.configuration import StackConfig, changed, fixed, searched
from apps.data import Examples
from apps.data.panels import windows
from apps.data.panels.windows import SERIES
from apps.errors import UserError
from apps.inputs.histories import Histories, HistoriesConfig
from apps.layers.forecasting.autoregressive import AutoregressiveForecaster
from apps.layers.forecasting.direct import DirectForecaster
from apps.layers.forecasting.segments import SegmentForecaster
from apps.layers.forecasting.window_scaling import SCALINGS
from apps.layers.recurrent_network import network_of
from apps.tasks.quantiles import Quantiles, QuantilesConfig
from apps.tasks.quantiles.baselines import linear_map, linear_rows
from apps.timeseries.sample_sales import sample_sales

# Steps that a window of segments has, unless the user says it.
_SEGMENTS = 15
# Rows of a batch are series of one target each.
_SERIES = 448
_SHOWN_TARGETS = 4
# How much of the median may be the network's; the first of equals wins.
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)


@dataclass(frozen=True)
class ForecastingConfig(HistoriesConfig, QuantilesConfig, StackConfig):
    """Hyperparameters of the forecasting model; `searched` ones are what tuning varies.

    `model` is `segments`, LSTMs over `segment` rows at a time and each target by itself; `direct`,
    LSTMs over every row and all targets together; or `autoregressive`, LSTMs that say the next row
    and draw `paths` from it. `scaling` says what is taken off each window: its `last` value, that
    and its deviation (`level`), its `mean`, mean and deviation (`standard`), or nothing (`raw`,
    which streams need). With `linear`,
    a linear map that is fitted first stands beside the LSTMs over segments.
    """

    epochs: int = changed(6)
    patience: int = changed(3)
    batch_size: int = changed(64, span=(16, 256))
    validation_fraction: float = changed(0.2)
    units: int | tuple[int, ...] = changed(128, span=(32, 512))
    bidirectional: bool = changed(False, searched=False, choices=(False,))
    input_dropout: float = changed(0.0)
    weight_dropout: float = changed(0.0)
    output_dropout: float = changed(0.5)
    model: str = fixed("segments", choices=("segments", "direct", "autoregressive"))
    segment: int = fixed(0, low=0, high=10_000)
    scaling: str = searched("last", choices=SCALINGS)
    linear: bool = searched(True, choices=(False, True))
    paths: int = fixed(200, low=20, high=10_000)


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

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        """Sizes that follow from the series, and as many windows a batch as fill it."""
        targets = units[SERIES][0].targets.shape[1]
        context, horizon, season = self.input.sizes(units)
        several = len({id(one) for one in units[SERIES]}) > 1
        return {
            "context": context,
            "horizon": horizon,
            "season": season,
            # Series of one table may differ in size by orders of magnitude.
            "scaling": "level" if several else "last",
            "segment": max(context // _SEGMENTS, 1),
            "batch_size": int(np.clip(_SERIES // targets, 8, 64)),
        }

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        if self._draws and self.input.channels.past:
            raise UserError(
                "model=autoregressive: it reads no past covariates "
                f"({', '.join(self.input.channels.past)}), which it would have to forecast too; "
                "leave them out of --columns, or take model=segments"
            )
        if self._linear:
            self._line = linear_map(examples, self.input.scaling, self.config)
        return {}

    @property
    def _draws(self) -> bool:
        return self.config.model == "autoregressive"

    @property
    def _linear(self) -> int:
        """Rows that the linear map reads."""
        config = self.config
        scaled = config.scaling in ("last", "level")
        fits = config.linear and config.model == "segments" and scaled
        return linear_rows(config.context) if fits else 0

    def build(self) -> keras.Model:
        config, channels = self.config, self.input.channels
        inputs = {
            name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
            for name, tensor in self.input.prepare(self.input.raw_inputs()).items()
            if name != "time"
        }
        given = network_of(config)
        given |= {name: getattr(config, name) for name in ("context", "horizon", "scaling")}
        given |= {"seed": self.seed, "name": "forecaster", "targets": len(channels.targets)}
        levels, shift = config.probabilities, self.adapted["shift"]
        if self._draws:
            layer: Any = AutoregressiveForecaster(levels=levels, paths=config.paths, **given)
            said = keras.Input((config.horizon, len(channels.targets)), name="said")
            self._answering = keras.Model(inputs, shift(layer(inputs)))
            return keras.Model({**inputs, "said": said}, layer(inputs, said))
        if config.model == "direct":
            layer = DirectForecaster(levels=levels, **given)
        else:
            sizes: dict[str, Any] = {"segment": config.segment, "linear": self._linear}
            layer = SegmentForecaster(levels=levels, **sizes, **given)
        quantiles = layer(inputs)
        if self._linear:
            layer.begin(self._line)
        return keras.Model(inputs, shift(quantiles))

    def inference(self) -> keras.Model:
        return getattr(self, "_answering", self.model)

    def forward(self, batch: Tensors) -> Any:
        if not self._draws:
            return super().forward(batch)
        # Where a value is not known, the last one of the window stands for it.
        target, last = batch["target"], batch["series"][:, -1:]
        said = tf.where(tf.math.is_finite(target), target, last)
        return super().forward({**batch, "said": said})

    def loss(self, batch: Tensors, outputs: Any) -> tf.Tensor:
        """That of the task, or nats of every row of a window but the first."""
        if not self._draws:
            return super().loss(batch, outputs)
        values = tf.concat([batch["series"][:, 1:], batch["target"]], 1)
        known = tf.math.is_finite(values)
        layer = self.model.get_layer("forecaster")
        nats = layer.nats(outputs, tf.where(known, values, 0.0))
        return tf.reduce_mean(nats * tf.cast(known, nats.dtype))

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:
        """Choose how much of the median is that of the LSTMs, the rest being the linear map's."""
        if not self._linear:
            return
        share, found = self._forecaster.share, {}
        for value in (0.0, 1.0):
            share.assign(value)
            batches = held_out(self.inference(), self.task.calibration_units)
            found[value] = np.concatenate([outputs for _, outputs in batches])
        target = np.concatenate([batch["target"] for batch, _ in batches])
        moved = {s: s * found[1.0] + (1 - s) * found[0.0] for s in _SHARES}
        best = min(_SHARES, key=lambda s: self.task.loss_of(moved[s], target))
        share.assign(best)
        environment.say(f"the median is {best:.0%} the network's, the rest is the linear map's")

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        if not self._draws or self.config.scaling != "raw":
            return {}
        return self._forecaster.state_specs()

    def no_stream(self) -> str:
        return (
            "it forecasts from whole windows; train with --set model=autoregressive --set "
            "scaling=raw for one that goes on row by row"
        )

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        """Rows of targets, and of each the covariates and the time of the row after it."""
        found = {}
        for name, tensor in self.input.raw_inputs().items():
            shape = tensor.shape if name == "static" else (None, None, *tensor.shape[2:])
            found[name] = tf.TensorSpec(shape, tf.float64, name)
        return found

    def step(self, **given: Any) -> dict[str, Any]:
        """Quantiles of the row after each of a chunk, `(batch, rows, targets, levels)`."""
        states = {name: given.pop(name) for name in self.stream_states()}
        prepared = self.input.prepare(given)
        quantiles, states = self._forecaster.step(prepared, states)
        quantiles = self.adapted["shift"].of_next_row(quantiles)
        answers = self.adapted["answers"](quantiles, prepared.get("time"))
        return {**answers, **states}

    @property
    def _forecaster(self) -> Any:
        return self.inference().get_layer("forecaster")

    def track(self, example: Examples) -> Mapping[str, Any]:
        """History, truth and bands of the first targets of a window."""
        config, scaling = self.config, self.input.scaling
        view, model = self.view(example, targets=False), self.inference()
        batch = view.fetch(next(iter(view.sweep(1))))
        outputs = np.asarray(model({tensor.name: batch[tensor.name] for tensor in model.inputs}))
        quantiles = scaling.restored(SERIES, outputs[0].swapaxes(1, 2)).swapaxes(1, 2)
        one, start = example[SERIES][0], int(example[windows.START][0])
        history = windows.history(one, start, config.context)[-2 * config.horizon :]
        ahead = windows.ahead(one, start, config.context, config.horizon)
        return {
            "forecasts": [
                {
                    "target": name,
                    "history": history[:, number].tolist(),
                    "truth": [v if np.isfinite(v) else None for v in ahead[:, number].tolist()],
                    "quantiles": quantiles[:, number].tolist(),
                    "levels": list(config.probabilities),
                }
                for number, name in enumerate(self.input.channels.targets[:_SHOWN_TARGETS])
            ]
        }
