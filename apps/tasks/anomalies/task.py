"""Scores of anomalies, without labels, measured by labels where there are some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.components import Baseline, Batches, Task, Tensors
from apps.data import Column, Examples
from apps.data.panels.series import DAY, TimeSeries
from apps.data.panels.stretches import LABELS, STOP, UNCOUNTED, lazy, values
from apps.data.panels.windows import SERIES, START
from apps.errors import UserError
from apps.following import Follower
from apps.layers.anomalies.sensor_autoencoder import LAGS
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.tasks.anomalies.answers import SensorAnswers
from apps.tasks.anomalies.baselines import (
    MovingDifference,
    RandomScore,
    RollingZ,
    SeasonalDifference,
)
from apps.tasks.anomalies.config import AUTOENCODER, DYNAMIC
from apps.tasks.anomalies.follower import EventFollower
from apps.tasks.anomalies.judging import (
    JUDGED,
    held_out_scores,
    judging_layers,
    learnt_rows,
    training_scale,
)
from apps.tasks.anomalies.measuring import METRICS, figures_of, nats_of
from apps.tasks.anomalies.sections import anomaly_sections
from apps.tasks.anomalies.threshold import threshold_for

# Rows of a beginning, when scales are not known yet, from which nothing is learnt.
_COLD = 20
# One alarm in so many rows, unless the user says how many a day.
_USUAL = 2000
_ALL = 10**9
# Views that together make the score of a lasting anomaly: the error ahead, and the same smoothed.
_VIEWS = 2.0
_SHOWN = 400
# The dynamic scorer's threshold is 1; no alarms are asked for so often that it falls below this.
_LEAST_DYNAMIC = 0.5


class AnomalyScores(Task):
    """A score for every row, and a threshold from which on it is an alarm.

    Outputs are those of `apps.layers.anomalies.sensor_network.SensorNetwork` for rows of the input
    `Sensors`. The network learns to forecast; no label is needed. Labelled anomalies are left
    out of the choice of the threshold.
    """

    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    objective = "nats"
    headline = "events"
    resamples = 200
    columns: Mapping[str, Column] = {}
    aligned = ("target", "label")

    @property
    def answering(self) -> SensorAnswers:
        """The layer that knows the threshold."""
        return self.adapted["answers"]

    @property
    def calibration_units(self) -> int:
        return _ALL

    @property
    def most_predictions(self) -> int:
        return _SHOWN

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        channels = self.adapted["channels"].channels
        if self.config.alarms_per_day and not channels["step"]["dated"]:
            raise UserError(
                f"alarms_per_day={self.config.alarms_per_day}: the rows have no dates, so that "
                "nothing says how many make a day; leave it out for one alarm in 2,000 rows"
            )
        answers = SensorAnswers(
            channels["targets"], self.config.merge, channels["step"]["dated"], name="answers"
        )
        answers.build()
        # Figures after each epoch are of it, until held-out rows have chosen another.
        answers.threshold.assign(self._most)
        rows = learnt_rows(examples)
        self.training_scale = training_scale(rows, self.config)
        layers = judging_layers(rows, len(channels["targets"]), self.config)
        return {"answers": answers, **layers}

    @property
    def distances(self) -> tuple[int, ...]:
        """How many rows behind each one those lie that are said of it; below 0 for before."""
        if self.config.model == AUTOENCODER:
            return tuple(-lag for lag in LAGS)
        return (1, max(self.config.ahead, 1))

    def targets(self, examples: Examples) -> dict[str, Any]:
        distances = self.distances
        shape = (len(distances), len(self.adapted["channels"].channels["targets"]))

        def target(one: TimeSeries, start: int, stop: int) -> np.ndarray:
            last = min(one.last, one.end)
            found = np.full((stop - start, *shape), np.nan)
            for number, distance in enumerate(distances):
                first = max(start + distance, 0)
                piece = values(one, first, min(stop + distance, last))
                begin = first - start - distance
                found[begin : begin + len(piece), number] = piece
            return found

        labels = dict(zip(map(id, examples[SERIES]), examples[LABELS], strict=True))

        def label(one: TimeSeries, start: int, stop: int) -> np.ndarray:
            found = labels[id(one)][start:stop].astype(np.int8)
            found[: max(one.first - start, 0)] = UNCOUNTED
            return found

        return {
            "target": lazy(examples, target, np.float64, shape),
            "label": lazy(examples, label, np.int8, ()),
        }

    def loss(self, batch: Tensors, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Absolute errors, and nats of a Laplace distribution whose middle they do not move."""
        target = batch["target"]
        rows = tf.shape(target)[1]
        learnt = tf.sequence_mask(batch["lengths"], rows)
        if "begins" in batch:
            learnt &= ~batch["begins"][:, None] | (tf.range(rows) >= _COLD)[None]
        known = tf.math.is_finite(target) & learnt[..., None, None]
        target = tf.where(known, target, tf.zeros_like(target))
        shift, scale = (outputs[name][:, :, None] for name in ("shift", "scale"))
        error = tf.cast(tf.asinh((target - shift) / scale), tf.float32) - outputs["middle"]
        error, spread = tf.abs(error), outputs["spread"]
        nats = tf.stop_gradient(error) / spread + tf.math.log(2.0 * spread)
        return tf.reduce_mean((error + nats) * tf.cast(known, tf.float32))

    def explained(self, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The score of the most surprising row."""
        return tf.reduce_max(outputs["surprise"])

    def answers(self, outputs: Mapping[str, Any], inputs: Tensors) -> dict[str, Any]:
        given = {n: outputs[n] for n in ("surprise", "expected", "low", "high")}
        return self.answering(given, inputs["lengths"], inputs.get("time"))

    def statistics(
        self, batch: Mapping[str, np.ndarray], answered: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Of each piece its scores, flags and labels row by row, and the nats of its forecasts."""
        label, lengths = batch["label"], batch["lengths"]
        size = self.config.window
        real = np.arange(label.shape[1]) < lengths[:, None]
        counted = real & (label > UNCOUNTED)
        if "score" in answered:
            score, flag = answered["score"], answered["flag"]
            nats, forecasts = np.full(len(label), np.nan), np.zeros(len(label))
        else:
            score = answered["surprise"].max(-1)
            flag = score >= float(self.answering.threshold.numpy())
            nats, forecasts = nats_of(batch, answered, counted)
        scores = np.full((len(label), size), np.nan, np.float32)
        labels = np.full((len(label), size), UNCOUNTED, np.int8)
        flags = np.zeros((len(label), size), bool)
        width = min(label.shape[1], size)
        scores[:, :width] = np.where(counted, score, np.nan)[:, :width]
        labels[:, :width] = np.where(counted, label, UNCOUNTED)[:, :width]
        flags[:, :width] = (flag & counted)[:, :width]
        found = {"scores": scores, "labels": labels, "flags": flags}
        return {**found, "nats": nats, "forecasts": forecasts, "begins": self._begins(batch)}

    @staticmethod
    def _begins(batch: Mapping[str, np.ndarray]) -> np.ndarray:
        begins = batch.get("begins")
        return np.ones(len(batch["label"]), bool) if begins is None else np.asarray(begins)

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        return figures_of(statistics, self.config.merge, self.seed)

    def calibrate(self, batches: Batches) -> None:
        """Choose the threshold on held-out rows that are not labelled as anomalies."""
        seen = []
        for batch, outputs in batches:
            real = np.arange(outputs["surprise"].shape[1]) < batch["lengths"][:, None]
            usable = real & (batch["label"] > UNCOUNTED) & (batch["label"] != 1)
            kept = {name: outputs[name] for name in JUDGED if name in outputs}
            seen.append((kept, usable))
        own, rare = held_out_scores(self.adapted, seen, self.config)
        threshold = self._chosen(own, 1.0 if rare is None else 0.5)
        if rare is not None:
            # Each raises half of the alarms, at a threshold of its own.
            self.adapted["range"].factor.assign(threshold / self._chosen(rare, 0.5))
        self.answering.threshold.assign(threshold)
        seldom = f"about one in {round(1 / self.alarms)} normal rows raises one"
        environment.say(f"alarms from a score of {threshold:.2f} on, so that {seldom}")

    def _chosen(self, scores: Sequence[np.ndarray], share: float) -> float:
        """The threshold of scores of held-out rows that are to raise a share of the alarms."""
        config = self.config
        wanted = threshold_for(scores, config.merge + 1, share * self.alarms)
        if config.scorer == DYNAMIC:
            if not config.alarms_per_day or not np.isfinite(wanted):
                return self._most
            return max(wanted, _LEAST_DYNAMIC)
        # Held-out rows with anomalies that nobody has labelled would ask for more, and those that
        # are too few to be surprised for less.
        least = float(np.log10(1.0 / self.alarms / (config.merge + 1)))
        if wanted > self._most:
            environment.say(
                f"the held-out rows, which may hold anomalies, asked for {wanted:.2f}, not "
                f"{self._most:.2f}"
            )
        return min(max(wanted, least), self._most)

    @property
    def _most(self) -> float:
        """The score that two views which say the same give a row as seldom as alarms are to be."""
        if self.config.scorer == DYNAMIC:
            return 1.0
        return _VIEWS * float(np.log10(1.0 / self.alarms))

    @property
    def alarms(self) -> float:
        """Alarms per row that are asked for."""
        if not self.config.alarms_per_day:
            return 1.0 / _USUAL
        return self.config.alarms_per_day * self.adapted["channels"].channels["step"]["size"] / DAY

    def threshold(self, scores: Sequence[np.ndarray]) -> float:
        """The score from which on rows of held-out stretches raise as many alarms as asked for."""
        return threshold_for(scores, self.config.merge + 1, self.alarms)

    def metadata(self) -> dict[str, Any]:
        return {"merge": self.config.merge, "ahead": self.config.ahead}

    def baselines(self) -> dict[str, Baseline]:
        channels = self.adapted["channels"].channels
        made: dict[str, type] = {
            "random": RandomScore,
            "rolling_z": RollingZ,
            "moving_difference": MovingDifference,
        }
        if channels["step"]["dated"]:
            made["seasonal_difference"] = SeasonalDifference
        return {name: kind(self.threshold, self.seed) for name, kind in made.items()}

    def statistics_of(self, baseline: Baseline, units: Examples) -> dict[str, np.ndarray]:
        found = super().statistics_of(baseline, units)
        starts = np.asarray(units[START], np.int64)
        stops = np.concatenate([[-1], np.asarray(units[STOP], np.int64)[:-1]])
        series = list(map(id, units[SERIES]))
        same = np.array([a == b for a, b in zip([None, *series[:-1]], series, strict=True)])
        return {**found, "begins": ~same | (starts != stops)}

    def shown(self, examples: Examples) -> list[Any]:
        """The labels of the rows, 1 for an anomaly, and their values."""
        rows = zip(examples[SERIES], examples[LABELS], examples[START], examples[STOP], strict=True)
        found = []
        for one, labels, start, stop in rows:
            own = values(one, int(start), int(stop))
            found.append(
                {
                    "series": one.name,
                    "row": int(start),
                    "labels": labels[int(start) : int(stop)].tolist(),
                    "values": [
                        [v if np.isfinite(v) else None for v in row] for row in own.tolist()
                    ],
                }
            )
        return found

    def kept(self, answer: Mapping[str, Any], truth: Any) -> Mapping[str, Any]:
        """The rows' scores and bands, and the events."""
        names = ("score", "expected", "low", "high", "events", "channels", "threshold")
        return {name: answer.get(name) for name in names}

    def follower(
        self, metadata: Mapping[str, Any], labels: Sequence[str], options: Any
    ) -> Follower:
        """Events as they begin and end."""
        return EventFollower(metadata["channels"]["targets"], metadata["merge"])

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return anomaly_sections(rows)
