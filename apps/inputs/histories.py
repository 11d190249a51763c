"""Histories: what series were up to a moment, and what is known of the time after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from apps.configuration import fixed
from apps.data import Examples
from apps.data.panels import windows
from apps.data.panels.seasons import season_of, seasonal_error
from apps.data.panels.series import Channels, TimeSeries
from apps.data.panels.windows import CHANNELS, SERIES, START
from apps.inputs.history_field import HistoryField, telling
from apps.inputs.series_tables import SeriesTables, SeriesTablesConfig
from apps.layers.calendar import Calendar, periods_of
from apps.layers.panel_scaling import PanelScaling
from apps.page_field import WholeField
from apps.signatures import Signature

# Rows of history unless the user says it, or two seasons; never more than a share of a series.
_USUAL, _LONGEST, _SHARE = 720, 3000, 0.25
_MOST_HELD_OUT = 20_000
_WEEK = {"D": 14, "B": 10, "W": 8}
_TOLD = 3


@dataclass(frozen=True)
class HistoriesConfig(SeriesTablesConfig):
    """Hyperparameters of every application that forecasts series.

    `horizon` rows are forecast from `context` rows of history; `season` rows make a season; 0
    leaves them to follow from the step and the length of the series. With `calendar` the
    model sees the time of the day, the week and the year. An epoch has at most `windows` windows.
    """

    context: int = fixed(0, low=0, high=100_000)
    horizon: int = fixed(0, low=0, high=10_000)
    season: int = fixed(0, low=0, high=100_000)
    calendar: bool = fixed(False)
    windows: int = fixed(100_000, low=1, high=100_000_000)


class Histories(SeriesTables):
    """Windows over the series of tables; a unit is a window and the rows after it.

    Tensors are `series` `(batch, context, targets)`, and where there are such `past` `(batch,
    context, channels)`, `future` and `calendar` `(batch, context + horizon, channels)` and `static`
    `(batch, channels)`, float32 and standardised; `time` `(batch, context + horizon)` goes to the
    answers. Training learns from the beginning of every series and validates on its end.
    """

    config: HistoriesConfig
    passed_over = "without a window"
    page_field: ClassVar[WholeField] = HistoryField("about_series")

    @property
    def scaling(self) -> PanelScaling:
        """The layer that knows channels, means and deviations of the training rows."""
        return self.adapted["panel"]

    @property
    def channels(self) -> Channels:
        """What the model learnt from."""
        return Channels.from_dict(self.scaling.channels)

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """The series of tables, rows in the order of time without holes."""
        if CHANNELS in examples:
            return examples
        known = None if learning else self.channels
        found = self._series(examples, known)
        if learning:
            context, horizon, _ = self.sizes(found)
            found = windows.thinned(found, context, horizon, self.config.windows)
        return found

    def sizes(self, examples: Examples) -> tuple[int, int, int]:
        """Context, horizon and season, in rows; those left open follow from some series."""
        config, series = self.config, examples[SERIES]
        season = config.season or season_of(series)
        step = series[0].step
        rows = int(np.median([min(one.last, one.end) for one in series]))
        horizon = config.horizon
        if not horizon:
            usual = _WEEK.get(step.alias.split("-")[0], season if 4 <= season <= 60 else 24)
            horizon = max(min(usual, rows // 10), 1)
        longest = min(max(_USUAL, 2 * season), _LONGEST, int(_SHARE * rows))
        return config.context or max(longest, min(horizon, rows - 1), 1), horizon, season

    def split(
        self, examples: Examples, fraction: float, stratify: str | None
    ) -> tuple[Examples, Examples]:
        context, horizon, _ = self.sizes(examples)
        training, validation = windows.split_in_time(examples, fraction, horizon)
        if not all(windows.count(side, context, horizon) for side in (training, validation)):
            raise windows.too_short(examples, context, horizon, stretches=2)
        most = min(_MOST_HELD_OUT, self.config.windows)
        return training, windows.thinned(validation, context, horizon, most)

    def walked(self, examples: Examples) -> tuple[Sequence[TimeSeries], int]:
        found = self._series(examples, None)
        return found[SERIES], self.sizes(found)[1]

    def overlap(self, examples: Examples, others: Sequence[Examples]) -> int:
        """How many windows begin to forecast at a row that counts in others too."""
        known = {
            (one.name, one.times[row], one.targets[row].tobytes())
            for rows in others
            for one in rows[SERIES]
            for row in range(one.first, min(one.last, one.end))
        }
        units = self.units(examples)
        origins = np.asarray(units[START]) + self.config.context
        pairs = zip(units[SERIES], origins, strict=True)
        return sum((o.name, o.times[row], o.targets[row].tobytes()) in known for o, row in pairs)

    def units(self, examples: Examples) -> Examples:
        if START in examples:
            return examples
        context, horizon, _ = self.sizes(examples)
        return windows.cut(examples, context, horizon)

    def asked(self, examples: Examples, metadata: Mapping[str, Any]) -> Examples:
        """The last window of each series."""
        known = Channels.from_dict(metadata["channels"])
        found = self._series(examples, known) if CHANNELS not in examples else examples
        return windows.latest(found, metadata["context"], metadata["horizon"])

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        """Take means and deviations from the rows that are learnt from, and nothing after them."""
        channels = examples[CHANNELS][0]
        series = list({id(one): one for one in examples[SERIES]}.values())
        season = self.sizes(examples)[2]
        known = [np.where(one.observed, one.targets, np.nan)[: one.last] for one in series]
        values = {
            SERIES: np.concatenate(known),
            "past": np.concatenate([one.past[: one.last] for one in series]),
            "future": np.concatenate([one.future[: one.last] for one in series]),
            "static": np.stack([one.static for one in series]),
        }
        errors = [
            seasonal_error(one.targets[: one.last], one.observed[: one.last], season)
            for one in series
        ]
        usual = _usual(errors).tolist()
        layers = {"panel": PanelScaling.adapt(channels, values, usual, name="panel")}
        if self.config.calendar and (periods := periods_of(_seconds(channels))):
            layers["calendar"] = Calendar(periods, name="calendar")
        return layers

    def tensors(self, examples: Examples) -> dict[str, Any]:
        config, scaling = self.config, self.scaling
        context, size = config.context, config.context + config.horizon
        rows = {
            SERIES: lambda one, start: one.targets[start : start + context],
            "past": lambda one, start: one.past[start : start + context],
            "future": lambda one, start: one.future[start : start + size],
            "static": lambda one, start: one.static,
        }
        found = {}
        for name, shape in self._shapes().items():
            if name == "time":
                continue

            def make(one: TimeSeries, start: int, name: str = name) -> np.ndarray:
                return scaling.of(name, rows[name](one, start))

            found[name] = windows.made_of_each(examples, make, shape)
        if "time" in self._shapes():
            found["time"] = windows.times_of_each(examples, size)
        if "calendar" in self.adapted:
            calendar = self.adapted["calendar"]
            shape = (size, 2 * len(calendar.periods))
            found["calendar"] = windows.made_of_each(
                examples, lambda one, start: calendar.of(windows.times(one, start, size)), shape
            )
        return found

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the raw inputs, by name."""
        config, channels = self.config, self.channels
        size = config.context + config.horizon
        shapes: dict[str, tuple[int, ...]] = {SERIES: (config.context, len(channels.targets))}
        if channels.past:
            shapes["past"] = (config.context, len(channels.past))
        if channels.future:
            shapes["future"] = (size, len(channels.future))
        if channels.static:
            shapes["static"] = (len(channels.static),)
        if channels.step.dated:
            shapes["time"] = (size,)
        return shapes

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        return {
            name: keras.Input(shape, dtype="float64", name=name)
            for name, shape in self._shapes().items()
        }

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        prepared = dict(self.scaling({n: value for n, value in raw.items() if n != "time"}))
        if "time" in raw:
            prepared["time"] = raw["time"]
        if "calendar" in self.adapted:
            prepared["calendar"] = self.adapted["calendar"](raw["time"])
        return prepared

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        context, channels = metadata["context"], metadata["channels"]
        size = context + metadata["horizon"]
        pairs = list(zip(examples[SERIES], map(int, examples[START]), strict=True))
        found = {SERIES: np.stack([one.targets[s : s + context] for one, s in pairs])}
        if channels["past"]:
            found["past"] = np.stack([one.past[s : s + context] for one, s in pairs])
        if channels["future"]:
            found["future"] = np.stack([one.future[s : s + size] for one, s in pairs])
        if channels["static"]:
            found["static"] = np.stack([one.static for one, _ in pairs])
        if channels["step"]["dated"]:
            found["time"] = np.stack([windows.times(one, s, size) for one, s in pairs])
        return {name: np.asarray(value, np.float64) for name, value in found.items()}

    def edge_cases(self) -> dict[str, np.ndarray]:
        """Nothing but zeros, a large constant, and a jump."""
        found = {}
        for name, shape in self._shapes().items():
            flat = np.zeros((3, *shape))
            if name == SERIES:
                flat[1] = 1e9
                flat[2, shape[0] // 2 :] = 10.0
            found[name] = flat
        return found

    def metadata(self) -> dict[str, Any]:
        config = self.config
        return {
            "channels": self.channels.to_dict(),
            "context": config.context,
            "horizon": config.horizon,
            "season": config.season,
        }

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        about = {"config": self.config.to_dict(), "seed": self.seed, **self.metadata()}
        return telling(self.page_field, about)

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        return [{"input": place} for place in examples.places]

    def telling(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[int]:
        """The best, the median and the worst windows."""
        order = np.argsort([row["error"] for row in rows], kind="stable")
        middle = len(order) // 2
        chosen = [*order[:_TOLD], *order[middle : middle + _TOLD], *order[-_TOLD:]]
        return list(dict.fromkeys(map(int, chosen)))


def _usual(errors: Sequence[np.ndarray]) -> np.ndarray:
    """The harmonic mean of several series' errors, `(targets,)`; 0 where there is one series."""
    if len(errors) == 1:
        return np.zeros_like(errors[0])
    found = np.stack(errors)
    there = found > 0
    inverse = np.where(there, 1 / np.where(there, found, 1.0), 0.0).sum(0)
    return np.where(inverse > 0, there.sum(0) / np.where(inverse > 0, inverse, 1.0), 0.0)


def _seconds(channels: Mapping[str, Any]) -> float:
    """The usual step in seconds; infinite where there are no dates."""
    step = channels["step"]
    return step["size"] if step["dated"] else float("inf")
