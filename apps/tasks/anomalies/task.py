"""Scores of anomalies, without labels, measured by labels where there are some."""

from __future__ import annotations

import itertools
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
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.tasks.anomalies.affiliation import affiliation_scores
from apps.tasks.anomalies.answers import SensorAnswers
from apps.tasks.anomalies.baselines import (
    MovingDifference,
    RandomScore,
    RollingZ,
    SeasonalDifference,
)
from apps.tasks.anomalies.events import event_scores, point_adjusted_f1, random_point_adjusted_f1
from apps.tasks.anomalies.follower import EventFollower
from apps.tasks.anomalies.pieces import Piece, runs_of
from apps.tasks.anomalies.ranking import auc_pr, vus_pr
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


class AnomalyScores(Task):
    """A score for every row, and a threshold from which on it is an alarm.

    Outputs are those of `apps.layers.anomalies.sensor_network.SensorNetwork` for rows of the input
    `Sensors`. The network learns to forecast; no label is needed. Labelled anomalies are left
    out of the choice of the threshold.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("nats", "nats per forecast", "lower", unit="nats"),
        Metric("auc_pr", "average precision of rows", "higher", rate=True),
        Metric("vus_pr", "volume under the PR surface", "higher", rate=True),
        Metric("event_f1", "F1 of events", "higher", rate=True),
        Metric("event_precision", "precision of events", "higher", rate=True),
        Metric("event_recall", "recall of events", "higher", rate=True),
        Metric("affiliation_f1", "affiliation F1", "higher", rate=True),
        Metric("point_adjusted_f1", "point-adjusted F1, which flatters", "neither", rate=True),
        Metric("random_point_adjusted_f1", "point-adjusted F1 of chance", "neither", rate=True),
        Metric("alarms_per_1000_rows", "alarms per 1,000 rows", "neither"),
    )
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
        return {"answers": answers}

    def targets(self, examples: Examples) -> dict[str, Any]:
        distances = (1, max(self.config.ahead, 1))
        channels = len(self.adapted["channels"].channels["targets"])

        def target(one: TimeSeries, start: int, stop: int) -> np.ndarray:
            last = min(one.last, one.end)
            found = np.full((stop - start, 2, channels), np.nan)
            for number, distance in enumerate(distances):
                piece = values(one, start + distance, min(stop + distance, last))
                found[: len(piece), number] = piece
            return found

        labels = dict(zip(map(id, examples[SERIES]), examples[LABELS], strict=True))

        def label(one: TimeSeries, start: int, stop: int) -> np.ndarray:
            found = labels[id(one)][start:stop].astype(np.int8)
            found[: max(one.first - start, 0)] = UNCOUNTED
            return found

        return {
            "target": lazy(examples, target, np.float64, (2, channels)),
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
            nats, forecasts = _nats(batch, answered, counted)
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
        pieces = _joined(statistics)
        forecasts = float(np.nansum(statistics["forecasts"]))
        nats = float(np.nansum(statistics["nats"])) / forecasts if forecasts else float("nan")
        merge = self.config.merge
        precision, recall, f1 = event_scores(pieces, merge)
        counted = sum(int(piece.scored.sum()) for piece in pieces)
        alarms = sum(len(runs_of(piece.flagged, merge)[0]) for piece in pieces)
        return {
            "nats": nats,
            "auc_pr": auc_pr(pieces),
            "vus_pr": vus_pr(pieces, 2 * merge),
            "event_f1": f1,
            "event_precision": precision,
            "event_recall": recall,
            "affiliation_f1": affiliation_scores(pieces, merge)[2],
            "point_adjusted_f1": point_adjusted_f1(pieces),
            "random_point_adjusted_f1": random_point_adjusted_f1(pieces, self.seed),
            "alarms_per_1000_rows": 1000 * alarms / counted if counted else float("nan"),
        }

    def calibrate(self, batches: Batches) -> None:
        """Choose the threshold on held-out rows that are not labelled as anomalies."""
        found: list[np.ndarray] = []
        for batch, outputs in batches:
            score = outputs["surprise"].max(-1)
            real = np.arange(score.shape[1]) < batch["lengths"][:, None]
            usable = real & (batch["label"] > UNCOUNTED) & (batch["label"] != 1)
            found += list(np.where(usable, score, np.nan))
        wanted = self.threshold(found)
        # Held-out rows with anomalies that nobody has labelled would ask for more.
        most = self._most
        threshold = min(wanted, most)
        self.answering.threshold.assign(threshold)
        environment.say(
            f"alarms from a score of {threshold:.2f} on, so that about one in "
            f"{round(1 / self.alarms)} normal rows raises one"
            + (
                f"; the held-out rows, which may hold anomalies, asked for {wanted:.2f}"
                if wanted > most
                else ""
            )
        )

    @property
    def _most(self) -> float:
        """The score that two views which say the same give a row as seldom as alarms are to be."""
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


def _nats(
    batch: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the nats of the forecasts of rows that are no known anomaly, and their number."""
    target = batch["target"]
    known = np.isfinite(target) & (counted & (batch["label"] != 1))[..., None, None]
    scale, shift = outputs["scale"][:, :, None], outputs["shift"][:, :, None]
    with np.errstate(invalid="ignore"):
        error = np.abs(np.arcsinh((target - shift) / scale) - outputs["middle"])
    spread = outputs["spread"].astype(np.float64)
    nats = np.where(known, np.where(known, error, 0.0) / spread + np.log(2.0 * spread), 0.0)
    return nats.sum((1, 2, 3)), known.sum((1, 2, 3)).astype(np.float64)


def _joined(statistics: Mapping[str, np.ndarray]) -> list[Piece]:
    """Pieces that follow one another as one; rows that do not count are left out at their ends."""
    begins = np.asarray(statistics["begins"], bool)
    edges = [*np.flatnonzero(begins).tolist(), len(begins)]
    if edges[0] != 0:
        edges = [0, *edges]
    found = []
    for first, last in itertools.pairwise(edges):
        scores, labels, flags = (
            statistics[name][first:last].reshape(-1) for name in ("scores", "labels", "flags")
        )
        real = labels > UNCOUNTED
        if real.any():
            found.append(Piece(scores[real], labels[real], flags[real]))
    return found
