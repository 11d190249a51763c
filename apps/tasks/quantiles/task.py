"""Quantiles: what series will be, as a distribution for each row of a horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.components import Baseline, Batches, Task, Tensors
from apps.data import Column, Examples
from apps.data.panels import windows
from apps.data.panels.seasons import seasonal_error
from apps.data.panels.series import DAY, TimeSeries
from apps.data.panels.windows import SERIES, START
from apps.layers.panel_scaling import PanelScaling
from apps.layers.quantile_shift import QuantileShift
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.tasks.quantiles.answers import ForecastAnswers
from apps.tasks.quantiles.baselines import DLinear, Drift, LastValue, SeasonalNaive
from apps.tasks.quantiles.comparison import compared
from apps.tasks.quantiles.config import MEDIAN
from apps.tasks.quantiles.sections import quantile_sections

# Windows that a baseline answers at once: 720 rows of 9 quantiles of 7 targets take 23 MB.
_ROWS = 64
# Numbers of all forecasts that a report is made from, and the fewest windows.
_NUMBERS, _FEWEST = 3_000_000, 20
# Windows by which intervals are calibrated, at most.
_CALIBRATED = 20_000
# Windows of a half, from which on one tells whether calibration lasts.
_CHECKED = 50
# A series counts at most so many times as much as the usual one, or as little.
_MOST = 100.0


class Quantiles(Task):
    """Quantiles of every target at every row of the horizon.

    Outputs are `(batch, horizon, targets, levels)` float32, standardised and rising, what the layer
    `shift` gives, a `QuantileShift` that the task makes. The input makes the layer `panel`, a
    `PanelScaling`; the application's config is a `QuantilesConfig` and names `context`, `horizon`
    and `season`.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("pinball", "mean pinball loss", "lower"),
        Metric("mse", "mean squared error", "lower"),
        Metric("mae", "mean absolute error", "lower"),
        Metric("mase", "MASE", "lower"),
        Metric("smape", "sMAPE", "lower", rate=True),
        Metric("coverage", "coverage of the outermost interval", "neither", rate=True),
    )
    objective = "pinball"
    columns: Mapping[str, Column] = {}

    @property
    def scaling(self) -> PanelScaling:
        """Means and deviations of the targets."""
        return self.adapted["panel"]

    @property
    def levels(self) -> np.ndarray:
        """`(levels,)` probabilities."""
        return np.array(self.config.probabilities)

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """All series; says of how many MASE is undefined."""
        if not learning and (missing := sum(not self._error(s).any() for s in examples[SERIES])):
            environment.say(
                f"{examples.source}: MASE is undefined for {missing} of {len(examples)} series, "
                "whose values repeat from season to season; they are left out of it"
            )
        return examples

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        scaling, step = self.scaling, self.scaling.channels["step"]
        answers = ForecastAnswers(
            scaling.channels["targets"],
            self.config.probabilities,
            scaling.means[SERIES],
            scaling.deviations[SERIES],
            day_only=step["size"] >= DAY,
            name="answers",
        )
        return {
            "answers": answers,
            "shift": QuantileShift(self.config.probabilities, name="shift"),
        }

    def targets(self, examples: Examples) -> dict[str, Any]:
        config, count = self.config, len(self.scaling.channels["targets"])

        def target(one: TimeSeries, start: int) -> np.ndarray:
            ahead = windows.ahead(one, start, config.context, config.horizon)
            return self.scaling.of(SERIES, ahead)

        def moment(one: TimeSeries, start: int) -> Any:
            return one.times[start + config.context - 1]

        def error(one: TimeSeries, start: int) -> np.ndarray:
            return self._error(one)

        made = windows.made_of_each
        return {
            "target": made(examples, target, (config.horizon, count)),
            "season_error": made(examples, error, (count,)),
            "moment": made(examples, moment, (), np.float64),
        }

    def _error(self, one: TimeSeries) -> np.ndarray:
        """The seasonal error of the rows before what is measured, or of all where they are few."""
        known = self.__dict__.setdefault("_errors", {})
        if one not in known:
            season = self.config.season
            rows = slice(one.first if one.first > season else one.last)
            own = seasonal_error(one.targets[rows], one.observed[rows], season)
            known[one] = own / np.array(self.scaling.deviations[SERIES])
        return known[one]

    def loss(self, batch: Tensors, outputs: tf.Tensor) -> tf.Tensor:
        """Twice the mean pinball loss (Koenker & Bassett 1978, "Regression quantiles").

        With the median alone it is the mean absolute error. Of several series, each one's loss is
        relative to its own seasonal error, so that small ones count as much as large ones.
        """
        target = batch["target"]
        outputs = tf.cast(outputs, target.dtype)
        known = tf.cast(tf.math.is_finite(target), outputs.dtype)
        if any(self.scaling.errors):
            usual = np.array(self.scaling.errors) / np.array(self.scaling.deviations[SERIES])
            own = batch["season_error"]
            relative = tf.constant(usual, own.dtype) / tf.where(own > 0, own, 1.0)
            relative = tf.clip_by_value(tf.where(own > 0, relative, 1.0), 1 / _MOST, _MOST)
            known *= tf.cast(relative, outputs.dtype)[:, None]
        difference = tf.where(tf.math.is_finite(target), target, 0.0)[..., None] - outputs
        levels = tf.constant(self.levels, outputs.dtype)
        losses = tf.reduce_mean(tf.maximum(levels * difference, (levels - 1) * difference), -1)
        return 2 * tf.reduce_mean(losses * known)

    def explained(self, outputs: Any) -> tf.Tensor:
        """The forecasts' medians, summed."""
        return tf.reduce_sum(outputs[..., self._middle])

    def answers(self, outputs: Any, inputs: Tensors) -> dict[str, Any]:
        return self.adapted["answers"](outputs, inputs.get("time"))

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        """Sums of each window over rows and targets whose value is known."""
        target = np.asarray(batch["target"], np.float64)
        forecast = np.asarray(answered, np.float64)
        known = np.isfinite(target)
        target = np.where(known, target, 0.0)
        middle = forecast[..., self._middle]
        error = np.where(known, target - middle, 0.0)
        difference = np.where(known[..., None], target[..., None] - forecast, 0.0)
        pinball = _pinball(self.levels, difference).mean(-1)
        inside = known & (forecast[..., 0] <= target) & (target <= forecast[..., -1])
        means, deviations = (
            np.array(values[SERIES]) for values in (self.scaling.means, self.scaling.deviations)
        )
        size = np.abs(target * deviations + means) + np.abs(middle * deviations + means)
        relative = 2 * np.abs(error) * deviations / np.where(size > 0, size, 1.0)
        season = np.asarray(batch["season_error"], np.float64)[:, None]
        defined = known & (season > 0)
        scaled = np.where(defined, np.abs(error) / np.where(season > 0, season, 1.0), 0.0)
        sums = {
            "known": known,
            "squared": error**2,
            "absolute": np.abs(error),
            "pinball": pinball,
            "inside": inside,
            "relative": np.where(known, relative, 0.0),
            "scaled": scaled,
            "defined": defined,
        }
        found = {name: value.sum((1, 2), dtype=np.float64) for name, value in sums.items()}
        return {**found, "moment": np.asarray(batch["moment"], np.float64)}

    def compared(
        self, statistics: Mapping[str, np.ndarray], others: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, dict[str, Any]]:
        """The test of Diebold and Mariano on pinball losses."""
        return compared(statistics, others, self.config.horizon)

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        sums = {name: float(values.sum()) for name, values in statistics.items()}
        known, defined = max(sums["known"], 1.0), sums["defined"]
        return {
            "pinball": sums["pinball"] / known,
            "mse": sums["squared"] / known,
            "mae": sums["absolute"] / known,
            "mase": sums["scaled"] / defined if defined else float("nan"),
            "smape": sums["relative"] / known,
            "coverage": sums["inside"] / known,
        }

    def statistics_of(self, baseline: Baseline, units: Examples) -> dict[str, np.ndarray]:
        """In few windows at a time, since forecasts are many numbers."""
        targets, found = self.targets(units), []
        for start in range(0, len(units), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(units)))
            batch = self._fetched(targets, rows)
            found.append(self.statistics(batch, baseline.predict(units.select(rows))))
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    @property
    def calibration_units(self) -> int:
        """So many that a quantile is known well, their forecasts within a hundred megabytes."""
        numbers = self.config.horizon * len(self.scaling.channels["targets"]) * len(self.levels)
        return max(min(_CALIBRATED, 10 * _NUMBERS // numbers), 1)

    def calibrate(self, batches: Batches) -> None:
        """Widen or narrow the intervals until they cover what they say, if that lasts."""
        how, shift = self.config.conformal, self.adapted["shift"]
        if how == "never":
            return
        quantiles = np.concatenate([outputs for _, outputs in batches])
        target = np.concatenate([batch["target"] for batch, _ in batches])
        moment = np.concatenate([batch["moment"] for batch, _ in batches])
        order = np.argsort(moment, kind="stable")
        early, late = np.array_split(order, 2)
        best = "ends" if how == "checked" else how
        if how == "checked" and len(late) >= _CHECKED:
            losses = {"not at all": self.loss_of(quantiles[late], target[late])}
            for moved in ("ends", "each"):
                shift.calibrate(quantiles[early], target[early], moved)
                losses[moved] = self.loss_of(np.asarray(shift(quantiles[late])), target[late])
            best = min(losses, key=lambda name: losses[name])
            told = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
            environment.say(
                f"quantiles are calibrated: {best} (pinball loss on the later half of the "
                f"validation windows, of quantiles moved by the earlier half: {told})"
            )
        if best == "not at all":
            shift.reset()
        else:
            shift.calibrate(quantiles, target, best)

    def loss_of(self, forecast: np.ndarray, target: np.ndarray) -> float:
        """Mean pinball loss of windows `(windows, horizon, targets, levels)` and what came."""
        return float(np.nanmean(_pinball(self.levels, target[..., None] - forecast)))

    def metadata(self) -> dict[str, Any]:
        return {"levels": list(self.config.probabilities)}

    def baselines(self) -> dict[str, Baseline]:
        given = (self.scaling, self.config)
        return {
            "last_value": LastValue(*given),
            "seasonal_naive": SeasonalNaive(*given),
            "drift": Drift(*given),
            "dlinear": DLinear(*given),
        }

    @property
    def most_predictions(self) -> int:
        """So many that their forecasts stay within a few hundred megabytes."""
        numbers = self.config.horizon * len(self.scaling.channels["targets"]) * len(self.levels)
        return max(_FEWEST, min(_NUMBERS // numbers, super().most_predictions))

    def shown(self, examples: Examples) -> list[Any]:
        config = self.config
        pairs = zip(examples[SERIES], map(int, examples[START]), strict=True)
        return [windows.ahead(one, s, config.context, config.horizon) for one, s in pairs]

    def kept(self, answer: Mapping[str, Any], truth: Any) -> Mapping[str, Any]:
        """How far off the forecast is at each row, and how much lies below each quantile."""
        target = self.scaling.of(SERIES, truth).astype(np.float64)
        forecast = np.asarray(answer["quantiles"], np.float64).swapaxes(1, 2)
        forecast = self.scaling.of(SERIES, forecast).swapaxes(1, 2)
        known = np.isfinite(target)
        difference = np.where(known, target, 0.0)[..., None] - forecast
        pinball = _pinball(self.levels, difference).mean(-1)
        absolute = np.abs(difference[..., self._middle]) * known
        return {
            "truth": None,
            "error": round(float((pinball * known).sum() / max(known.sum(), 1)), 6),
            "by_horizon": [
                round(float(total / count), 4) if count else None
                for total, count in zip(absolute.sum(1), known.sum(1), strict=True)
            ],
            "below": (difference <= 0)[known].mean(0).round(4).tolist(),
            "levels": list(self.config.probabilities),
        }

    @property
    def _middle(self) -> int:
        return self.config.probabilities.index(MEDIAN)

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return quantile_sections(rows)


def _pinball(levels: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Pinball losses of values less forecasts, `(…, levels)`."""
    return np.maximum(levels * difference, (levels - 1) * difference)
