"""Prices: quotes up to a day, and the features that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from apps import environment
from apps.configuration import changed, fixed
from apps.data import Column, Examples
from apps.data.kinds.panel import role
from apps.data.panels import windows
from apps.data.panels.leaks import check_leaks
from apps.data.panels.prices import read_prices
from apps.data.panels.reversion import mean_reverting
from apps.data.panels.series import Channels, TimeSeries
from apps.data.panels.table import Table
from apps.data.panels.windows import CHANNELS, SERIES
from apps.errors import UserError
from apps.inputs.histories import Histories, HistoriesConfig
from apps.inputs.history_field import HistoryField
from apps.layers.panel_scaling import PanelScaling
from apps.layers.price_features import MONTH, PriceFeatures, row_variance

FEATURES = "features"
TARGETS = ("return", "volatility")
# The first rows of a series, from which its smallest variance is taken.
_FIRST = 250
# Of the usual size of a return.
_LEAST = 0.05
# Rows of a window: a quarter of a year after the month that serves for means.
_USUAL = MONTH + 64
# Rows of features that are made at once, and those from which means and deviations are taken.
_PIECE, _SAMPLED = 50_000, 500_000
# Share of a series that a window has at most, unless the user says it.
_SHARE = 0.25


@dataclass(frozen=True)
class PricesConfig(HistoriesConfig):
    """Hyperparameters of every application that reads prices.

    `target` is the `return` over the next `horizon` rows, as the logarithm of a ratio, or their
    `volatility`, as the logarithm of the root of the mean variance of a row. The model sees
    `context` rows, the first 22 of which only serve to take means.
    """

    target: str = fixed("return", choices=TARGETS)
    context: int = changed(0)
    horizon: int = changed(1, low=1)
    season: int = changed(1, low=1, high=1)
    calendar: bool = changed(False, choices=(False,))
    fill: str = changed("last", choices=("last",))
    frequency: str = changed("", choices=("",))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context and self.context < MONTH + 2:
            raise UserError(f"context={self.context}: must be at least {MONTH + 2}")


class Prices(Histories):
    """Windows over quotes; a unit is a window and what comes over the rows after it.

    The tensor is `features` `(batch, context - 22, features)` float32, standardised. `targets` of a
    series are what the rows up to each row had, one number; the number to be forecast is that of
    the last row of the horizon.
    """

    config: PricesConfig
    page_field = HistoryField("about_prices")
    attributes: Mapping[str, Column] = {name: role() for name in ("time", "id", "target", "past")}

    @property
    def window(self) -> tuple[int, int]:
        """Rows that are seen, and rows ahead."""
        return self.config.context or _USUAL, self.config.horizon or 1

    @property
    def features(self) -> PriceFeatures:
        """The layer that makes features of quotes."""
        return self.adapted["prices"]

    @property
    def channels(self) -> Channels:
        return Channels.from_dict(self.features.channels)

    def _series(self, examples: Examples, known: Channels | None) -> Examples:
        if any(isinstance(value, TimeSeries) for value in examples[SERIES]):
            raise UserError(f"{examples.source}: give a table of quotes rather than series")
        found = super()._series(examples, known)
        series, channels = found[SERIES], Channels.from_dict(found[CHANNELS][0])
        short = [one for one in series if one.end < 2]
        if short:
            raise UserError(f"{short[0].place(0)}: its series has one row; give at least two")
        adapted = "prices" in self.adapted
        least = self.features.least if adapted else least_variance(series, channels)
        made = [self._targeted(one, channels, least) for one in series]
        if known is None:
            check_leaks(made, channels, self.window[1])
        return Examples({**found.columns, SERIES: made}, found.places, found.source)

    def _of_table(self, table: Table, known: Channels | None) -> tuple[list[TimeSeries], Channels]:
        return read_prices(table, self._reading, known, environment.say)

    def _targeted(self, one: TimeSeries, channels: Channels, least: float) -> TimeSeries:
        """The series with quotes and covariates as `past`, and what each row had as `targets`."""
        _, horizon = self.window
        quotes = {name: one.targets[:, i] for i, name in enumerate(channels.targets)}
        had = np.full(len(one.times), np.nan)
        if self.config.target == "return":
            level = np.log(quotes["close"])
            had[horizon:] = level[horizon:] - level[:-horizon]
        else:
            variance = np.asarray(row_variance({n: v[None] for n, v in quotes.items()}))[0]
            if len(variance) >= horizon:
                sums = np.convolve(variance, np.ones(horizon), "valid")
                had[horizon:] = 0.5 * np.log(sums / horizon + least)
        observed = np.isfinite(had)[:, None]
        past = np.concatenate([one.targets, one.past], 1)
        targets = np.nan_to_num(had)[:, None]
        return replace(one, targets=targets, observed=observed, past=past)

    def sizes(self, examples: Examples) -> tuple[int, int, int]:
        config, series = self.config, examples[SERIES]
        rows = int(np.median([min(one.last, one.end) for one in series]))
        usual = max(min(_USUAL, int(_SHARE * rows)), MONTH + 5)
        return config.context or usual, config.horizon or 1, 1

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        channels = examples[CHANNELS][0]
        known = Channels.from_dict(channels)
        series: list[TimeSeries] = list({id(one): one for one in examples[SERIES]}.values())
        quotes = len(known.targets)
        close = known.targets.index("close")
        level = len(series) == 1 and mean_reverting(np.log(series[0].past[: series[0].last, close]))
        least = least_variance([replace(s, targets=s.past[:, :quotes]) for s in series], known)
        made = PriceFeatures(channels, least, level, name="prices")
        every = -(-sum(one.last for one in series) // _SAMPLED)
        values = {
            SERIES: np.concatenate([_had(one) for one in series]),
            FEATURES: np.concatenate([p for s in series for p in _pieces(made, s, s.last, every)]),
        }
        named = replace(known, targets=(self.config.target,), past=(), future=(), static=())
        scaling = PanelScaling.adapt(named.to_dict(), values, [0.0], name="panel")
        return {"prices": made, "panel": scaling}

    def features_of(self, one: TimeSeries) -> np.ndarray:
        """Standardised features of the rows of a series from the row `MONTH` on, `(rows, n)`."""
        known = self.__dict__.setdefault("_made", {})
        if one not in known:
            pieces = _pieces(self.features, one, len(one.times))
            known[one] = np.concatenate([self.scaling.of(FEATURES, piece) for piece in pieces])
        return known[one]

    def tensors(self, examples: Examples) -> dict[str, Any]:
        context, horizon = self.window
        size = context + horizon
        for one in {id(one): one for one in examples[SERIES]}.values():
            self.features_of(one)

        def features(one: TimeSeries, start: int) -> np.ndarray:
            return self.features_of(one)[start : start + context - MONTH]

        shape = (context - MONTH, len(self.features.names))
        found = {FEATURES: windows.made_of_each(examples, features, shape)}
        if self.channels.step.dated:
            found["time"] = windows.times_of_each(examples, size)
        return found

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = super()._shapes()
        return {name: shapes[name] for name in (SERIES, "past", "time") if name in shapes}

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        prepared = self.scaling({FEATURES: self.features(dict(raw))})
        if "time" in raw:
            prepared["time"] = raw["time"]
        return prepared

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        context, channels = metadata["context"], metadata["channels"]
        quotes, size = len(channels["targets"]), context + metadata["horizon"]
        pairs = list(zip(examples[SERIES], map(int, examples[windows.START]), strict=True))
        known = np.stack([one.past[s : s + context] for one, s in pairs])
        found = {SERIES: known[..., :quotes]}
        if channels["past"]:
            found["past"] = known[..., quotes:]
        if channels["step"]["dated"]:
            found["time"] = np.stack([windows.times(one, s, size) for one, s in pairs])
        return found

    def edge_cases(self) -> dict[str, np.ndarray]:
        """A price that never changes, a very high one, and a fall by half."""
        found = {name: np.zeros((3, *shape)) for name, shape in self._shapes().items()}
        found[SERIES] += np.array([1.0, 1e9, 10.0])[:, None, None]
        found[SERIES][2, self.window[0] // 2 :] = 5.0
        return found


def least_variance(series: Sequence[TimeSeries], channels: Channels) -> float:
    """A variance that counts as none, from the first rows: what follows cannot change it.

    Args:
        series: whose `targets` are quotes.
        channels: names of the quotes.
    """
    close = channels.targets.index("close")
    sizes = []
    for one in series:
        first = max(min(_FIRST, one.end // 2), 2)
        returns = np.abs(np.diff(np.log(one.targets[:first, close])))
        if (returns > 0).any():
            sizes.append(float(np.median(returns[returns > 0])))
    return (_LEAST * (float(np.median(sizes)) if sizes else 1e-4)) ** 2


def _had(one: TimeSeries) -> np.ndarray:
    return np.where(one.observed, one.targets, np.nan)[: one.last]


def _pieces(
    layer: PriceFeatures, one: TimeSeries, last: int, every: int = 1
) -> Iterator[np.ndarray]:
    """Features of the rows from `MONTH` to before `last`, or of every so many of them."""
    quotes = len(layer.channels["targets"])
    for start in range(0, max(last - MONTH, 0), _PIECE):
        rows = slice(start, min(start + _PIECE + MONTH, last))
        raw = {
            SERIES: one.past[rows, :quotes],
            "past": one.past[rows, quotes:],
            "time": one.times[rows],
        }
        yield layer.of(raw)[::every]
