"""Anomalies: rows of sensors that are not what the rows before them let expect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.application import Application, Tiny
from apps.components import Adaptation
from apps.configuration import StackConfig, changed, fixed
from apps.data import Examples, RowStream, View
from apps.data.panels.stretches import BEGINS, STOP
from apps.data.panels.windows import SERIES, START
from apps.inputs.sensors import Sensors, SensorsConfig
from apps.layers.anomalies.sensor_autoencoder import SensorAutoencoder
from apps.layers.anomalies.sensor_network import SensorNetwork
from apps.layers.recurrent_network import network_of
from apps.tasks.anomalies import AlarmsConfig, AnomalyScores
from apps.tasks.anomalies.config import AUTOENCODER
from apps.tasks.anomalies.judging import judged, judging_states
from apps.timeseries.sample_machine import sample_machine

# Rows of the further forecast, unless the user says it or series are short.
_AHEAD, _SHARE = 144, 8
_STEPS, _UPDATES = 6, 800


@dataclass(frozen=True)
class AnomaliesConfig(SensorsConfig, AlarmsConfig, StackConfig):
    """Hyperparameters of the detector of anomalies; `searched` ones are what tuning varies.

    Each row is compared with what the row before it said, and with what was said `ahead` rows
    before it; 0 stands for 144 rows, or an eighth of a short series.
    """

    epochs: int = changed(60)
    patience: int = changed(20)
    batch_size: int = changed(16, span=(8, 64))
    learning_rate: float = changed(3e-3)
    validation_fraction: float = changed(0.2)
    units: int | tuple[int, ...] = changed(64, span=(16, 256))
    bidirectional: bool = changed(False, searched=False, choices=(False,))
    input_dropout: float = changed(0.1)
    weight_dropout: float = changed(0.0)
    output_dropout: float = changed(0.1)
    ahead: int = fixed(0, low=0, high=10_000)


class Anomalies(Application):
    """An LSTM whose state is carried on, its forecasts, and how surprising its errors are."""

    name = "anomalies"
    input: Sensors = Sensors()
    task: AnomalyScores = AnomalyScores()
    Config = AnomaliesConfig
    config: AnomaliesConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_machine(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        sizes = {"units": 8, "window": 64, "ahead": 12, "batch_size": 8}
        return Tiny(sample_machine(0, days=8), {"epochs": 3, "learning_rate": 0.01, **sizes})

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        """As many pieces a batch as leave an epoch several steps, and epochs as that takes."""
        series = {id(one): one for one in units[SERIES]}
        usual = int(np.median([min(one.last, one.end) for one in series.values()]))
        batch = int(np.clip(len(units) // _STEPS, 2, 16))
        return {
            "ahead": int(np.clip(usual // _SHARE, 1, _AHEAD)),
            "batch_size": batch,
            "epochs": int(np.clip(_UPDATES * batch // len(units), 15, 100)),
        }

    def view(
        self, units: Examples, *, targets: bool = True, training: Adaptation | None = None
    ) -> View:
        """Pieces with the state that those before leave; whole series where nothing is measured."""
        if not targets:
            return super().view(units, targets=False)
        columns = {**self.input.tensors(units), **self.task.targets(units)}
        del columns["begins"]
        starts, stops = (np.asarray(units[name], np.int64) for name in (START, STOP))
        series = np.array([id(one) for one in units[SERIES]])
        follows = (series[1:] == series[:-1]) & (starts[1:] == stops[:-1])
        begins = np.asarray(units[BEGINS], bool) | np.concatenate([[True], ~follows])
        return RowStream(columns, begins, self.config.window)

    def build(self) -> keras.Model:
        config, channels = self.config, len(self.input.channels.targets)
        sizes = {**network_of(config), "seed": self.seed, "name": "network"}
        if config.model == AUTOENCODER:
            scale = self.task.training_scale
            network = SensorAutoencoder(channels, scale, **sizes)
        else:
            ahead = max(config.ahead, 1)
            network = SensorNetwork(channels, ahead, **sizes)
        series = keras.Input((None, channels), dtype="float64", name="series")
        lengths = keras.Input((), dtype="int32", name="lengths")
        own, more = network.state_specs(), judging_states(self.adapted, channels)
        states = {
            name: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=name)
            for name, spec in {**own, **more}.items()
        }
        outputs = self._outputs(network, series, lengths, states)
        return keras.Model({"series": series, "lengths": lengths, **states}, outputs)

    def _outputs(self, network: Any, series: Any, lengths: Any, states: Mapping[str, Any]) -> Any:
        own = network.state_specs()
        outputs = network(series, lengths, {name: states[name] for name in own})
        more = {name: value for name, value in states.items() if name not in own}
        return judged(self.adapted, outputs, series, lengths, more)

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        own = self.model.get_layer("network").state_specs()
        return {**own, **judging_states(self.adapted, len(self.input.channels.targets))}

    def step(self, **given: Any) -> dict[str, Any]:
        """Score, flag and expected values of each row of a chunk."""
        series, states = given["series"], {name: given[name] for name in self.stream_states()}
        lengths = tf.fill([tf.shape(series)[0]], tf.shape(series)[1])
        outputs = self._outputs(self.model.get_layer("network"), series, lengths, states)
        return {**self.task.answering.of_rows(outputs), **{name: outputs[name] for name in states}}
