"""Quantiles of one number: what the rows of a horizon have together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.components import Baseline
from apps.data import Examples
from apps.data.panels import windows
from apps.data.panels.series import TimeSeries
from apps.data.panels.windows import SERIES, START
from apps.layers.price_features import PriceFeatures
from apps.report.sections import Section
from apps.tasks.quantiles.market import Ewma, Garch, Har, History, Market, Persistence
from apps.tasks.quantiles.sections import quantile_sections
from apps.tasks.quantiles.task import Quantiles
from apps.tasks.quantiles.trading import trading_sections


class Outcome(Quantiles):
    """Quantiles of what the last row of the horizon has, which is that of all of its rows.

    Outputs are `(batch, 1, 1, levels)` float32, standardised and rising. The input makes the layers
    `panel` and `prices`; the application's config names `target` and `cost` too.
    """

    config: Any
    # Seasons and relative errors of returns, which lie around 0, say nothing.
    metrics = tuple(one for one in Quantiles.metrics if one.name not in ("mase", "smape"))

    @property
    def features(self) -> PriceFeatures:
        """Which quotes there are."""
        return self.adapted["prices"]

    @property
    def market(self) -> Market:
        """Returns and variances of series."""
        return Market(self.features, self.scaling, self.config)

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        return examples

    def targets(self, examples: Examples) -> dict[str, Any]:
        context, horizon = self.config.context, self.config.horizon

        def target(one: TimeSeries, start: int) -> np.ndarray:
            return self.scaling.of(SERIES, windows.ahead(one, start, context, horizon)[-1:])

        def moment(one: TimeSeries, start: int) -> np.ndarray:
            return one.times[start + context - 1]

        return {
            "target": windows.made_of_each(examples, target, (1, 1)),
            "moment": windows.made_of_each(examples, moment, (), np.float64),
            "season_error": np.zeros((len(examples), 1), np.float32),
        }

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        found = super().measure(statistics)
        return {metric.name: found[metric.name] for metric in self.metrics}

    def baselines(self) -> dict[str, Baseline]:
        return {
            "persistence": Persistence(self.market),
            "historical": History(self.market),
            "ewma": Ewma(self.market),
            "har": Har(self.market),
            "garch": Garch(self.market),
        }

    def shown(self, examples: Examples) -> list[Any]:
        config = self.config
        close = self.features.channels["targets"].index("close")
        found = []
        for one, start in zip(examples[SERIES], map(int, examples[START]), strict=True):
            last = start + config.context - 1
            row = min(last + config.horizon, len(one.times) - 1)
            came = windows.ahead(one, start, config.context, config.horizon)[-1:]
            found.append(
                {
                    "came": came,
                    "series": one.name,
                    "time": float(one.times[row]),
                    "close": float(one.past[last, close]),
                }
            )
        return found

    def kept(self, answer: Mapping[str, Any], truth: Any) -> Mapping[str, Any]:
        """Beside what every forecast keeps: series, time, close, median, band and what came."""
        given = super().kept(answer, truth["came"])
        quantiles = np.asarray(answer["quantiles"], np.float64)[0, 0]
        came = float(truth["came"][0, 0])
        return {
            **given,
            "series": truth["series"],
            "time": truth["time"],
            "close": truth["close"],
            "median": float(np.asarray(answer["forecast"])[0, 0]),
            "low": float(quantiles[0]),
            "high": float(quantiles[-1]),
            "came": came if np.isfinite(came) else None,
        }

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        config = self.config
        found = [one for one in quantile_sections(rows) if one.title != "Error by horizon"]
        of = (config.target, config.horizon, config.cost)
        return found + trading_sections(rows, *of, index=self.features.level)
