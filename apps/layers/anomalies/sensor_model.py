"""What networks of sensors have in common: scaled rows, LSTMs, what they say, and its errors."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from apps.layers.anomalies.running_scale import Scaled
from apps.layers.recurrent_network import RecurrentNetwork

# Of a Laplace distribution's scale: 90 % of it lie within so much on either side of the median.
BAND = math.log(10.0)
_STATE = "state_"
_SCORES = {
    "surprise": "float32",
    "known": "bool",
    **dict.fromkeys(("error", "expected", "low", "high"), "float64"),
}


class SensorModel(RecurrentNetwork):
    """LSTMs over scaled rows whose state is carried on, and scores of how wrong they were.

    Args:
        channels: sensors.
        **given: arguments of `RecurrentNetwork`.

    Attributes:
        said: rows that each row says something of.

    Call arguments:
        series: `(batch, rows, channels)` float64, NaN for holes.
        lengths: `(batch,)` int32, rows of each.
        states: as `state_specs` names them; zeros at the beginning.
        training: whether dropout applies; scores are then left out.

    Returns:
        `middle` and `spread` `(batch, rows, said, channels)` float32, median and scale of a Laplace
        distribution of each value that is said, in the unit of `Scaled.squashed`; `shift` and
        `scale` of `Scaled`; `surprise` `(batch, rows, channels)` float32; `error` in the row's
        unit, and `known`, whether there is one; `expected`, `low` and `high` `(batch, rows,
        channels)` float64, the band holding 90 %; and the states by name.
    """

    said: ClassVar[int]

    def __init__(self, channels: int, **given: Any) -> None:
        super().__init__(autocast=False, **given)
        self.channels = channels
        self.stack = self._lstms(next(self._seeds) + 1000, return_state=True)
        drop = self.output_dropout
        self.drop = keras.layers.Dropout(drop, seed=next(self._seeds), name="drop")

    @abstractmethod
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the states but those of the LSTMs by name, without the batch; all float64."""

    @abstractmethod
    def scaled(self, series: tf.Tensor, own: Mapping[str, tf.Tensor]) -> Scaled:
        """Rows in the unit that the network sees."""

    @abstractmethod
    def read(self, scaled: Scaled) -> tf.Tensor:
        """What the LSTMs read of each row, `(batch, rows, features)` float32."""

    @abstractmethod
    def say(self, features: tf.Tensor, scaled: Scaled) -> tuple[tf.Tensor, tf.Tensor]:
        """`middle` and `spread` from the LSTMs' outputs."""

    @abstractmethod
    def score(
        self,
        scaled: Scaled,
        middle: tf.Tensor,
        spread: tf.Tensor,
        own: Mapping[str, tf.Tensor],
        lengths: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Scores, errors and bands of each row, and the next states that they need."""

    def state_specs(self) -> dict[str, tf.TensorSpec]:
        """The states of a stream by name, `(batch, …)`."""
        shapes = self.state_shapes()
        found = {f"{_STATE}{n}": tf.TensorSpec((None, *s), tf.float64) for n, s in shapes.items()}
        for name, (shape, dtype) in self.stack.state_specs().items():
            found[f"{_STATE}{name}"] = tf.TensorSpec((None, *shape), dtype)
        return found

    def call(
        self,
        series: tf.Tensor,
        lengths: tf.Tensor,
        states: Mapping[str, tf.Tensor],
        training: bool = False,
    ) -> dict[str, tf.Tensor]:
        own = {name.removeprefix(_STATE): value for name, value in states.items()}
        # What is padded changes nothing but the rows counted, which are taken from the lengths.
        real = tf.sequence_mask(lengths, tf.shape(series)[1])
        series = tf.where(real[..., None], series, tf.constant(float("nan"), tf.float64))
        scaled = self.scaled(series, own)
        names = list(self.stack.state_specs())
        before = [own[name] for name in names]
        features, *cells = self.stack(self.read(scaled), before, mask=real, training=training)
        middle, spread = self.say(self.drop(features, training=training), scaled)
        found = {"middle": middle, "spread": spread, "shift": scaled.shift, "scale": scaled.scale}
        kept = {
            name: tf.cast(cell, own[name].dtype) for name, cell in zip(names, cells, strict=True)
        }
        after = {**own, **scaled.states, **kept}
        if training:
            found |= {n: tf.zeros_like(scaled.values, kind) for n, kind in _SCORES.items()}
        else:
            scores, more = self.score(scaled, middle, spread, own, lengths)
            found, after = {**found, **scores}, {**after, **more}
        return {**found, **{name: after[name.removeprefix(_STATE)] for name in states}}

    def compute_output_spec(
        self, series: Any, lengths: Any, states: Mapping[str, Any], training: bool = False
    ) -> dict[str, Any]:
        batch, rows, channels = series.shape
        said = (batch, rows, self.said, channels)
        kinds = {**_SCORES, "shift": "float64", "scale": "float64"}
        found = {name: keras.KerasTensor(said, dtype="float32") for name in ("middle", "spread")}
        found |= {n: keras.KerasTensor(series.shape, dtype=kind) for n, kind in kinds.items()}
        return found | {n: keras.KerasTensor(s.shape, dtype=s.dtype) for n, s in states.items()}
