"""Naive forecasts: the last value, a season before, the line through a window, a linear model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.components import Baseline
from apps.data import Examples
from apps.data.panels import windows
from apps.data.panels.windows import SERIES, START
from apps.layers.panel_scaling import PanelScaling
from apps.tasks.quantiles.config import MEDIAN

# Windows of the training rows that residuals are taken from, and those that a line is fitted to.
_RESIDUALS, _FITTED = 500, 200_000
# Numbers of a piece of the design matrix.
_PIECE = 4_000_000
# Of the mean square of what is read.
_RIDGE = 1e-2


class PointForecast(Baseline):
    """A forecast of one value for each row, with the residuals of training windows around it.

    Forecasts are standardised as the model's are, `(windows, horizon, targets, levels)`.

    Args:
        scaling: knows means and deviations of the training rows.
        config: names `context`, `horizon`, `season` and the levels.
    """

    def __init__(self, scaling: PanelScaling, config: Any) -> None:
        self.scaling, self.config = scaling, config
        shape = (config.horizon, len(scaling.means[SERIES]), len(config.probabilities))
        self.residuals = np.zeros(shape)

    @abstractmethod
    def points(self, history: np.ndarray) -> np.ndarray:
        """The values to come, `(windows, horizon, targets)`, of `(windows, context, targets)`."""

    def fit(self, examples: Examples) -> None:
        """Take the quantiles of the residuals of some windows, evenly spread."""
        chosen = examples.select(spread(len(examples), _RESIDUALS))
        residuals = self._ahead(chosen) - self.points(self._histories(chosen))
        with np.errstate(invalid="ignore"):
            found = np.nanquantile(residuals, self.config.probabilities, axis=0)
        middle = self.config.probabilities.index(MEDIAN)
        found = np.moveaxis(np.nan_to_num(found), 0, -1)
        # The point itself is the median; the others lie on their side of it.
        found[..., :middle] = np.minimum(found[..., :middle], 0.0)
        found[..., middle] = 0.0
        found[..., middle + 1 :] = np.maximum(found[..., middle + 1 :], 0.0)
        self.residuals = found

    def predict(self, examples: Examples) -> np.ndarray:
        return self.points(self._histories(examples))[..., None] + self.residuals

    def state(self) -> dict[str, np.ndarray]:
        return {"residuals": self.residuals}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.residuals = state["residuals"]

    @property
    def rows(self) -> int:
        """How many rows of history it looks at."""
        return self.config.context

    def _histories(self, examples: Examples) -> np.ndarray:
        """Rows before what is to be forecast, NaN where a series has not so many."""
        found = np.full((len(examples), self.rows, len(self.scaling.means[SERIES])), np.nan)
        for row, (one, start) in enumerate(zip(examples[SERIES], examples[START], strict=True)):
            end = int(start) + self.config.context
            known = one.targets[max(end - self.rows, 0) : end]
            found[row, self.rows - len(known) :] = known
        return self.scaling.of(SERIES, found).astype(np.float64)

    def _ahead(self, examples: Examples) -> np.ndarray:
        pairs = zip(examples[SERIES], examples[START], strict=True)
        sizes = (self.config.context, self.config.horizon)
        found = [windows.ahead(one, int(s), *sizes) for one, s in pairs]
        return self.scaling.of(SERIES, np.stack(found)).astype(np.float64)


class LastValue(PointForecast):
    """The last value, again and again: what a random walk is expected to do."""

    def points(self, history: np.ndarray) -> np.ndarray:
        return np.repeat(history[:, -1:], self.config.horizon, 1)


class SeasonalNaive(PointForecast):
    """The value one season before, two seasons before where that is yet to come, and so on.

    A season may be longer than what the model sees. Where a series does not reach back so far, its
    last value is taken.
    """

    @property
    def rows(self) -> int:
        return self.config.season

    def points(self, history: np.ndarray) -> np.ndarray:
        before = history[:, np.arange(self.config.horizon) % self.config.season]
        return np.where(np.isfinite(before), before, history[:, -1:])


class Drift(PointForecast):
    """The line from the first value of the window to the last one, gone on with."""

    def points(self, history: np.ndarray) -> np.ndarray:
        slope = (history[:, -1:] - history[:, :1]) / max(history.shape[1] - 1, 1)
        return history[:, -1:] + slope * np.arange(1, self.config.horizon + 1)[:, None]


class DLinear(PointForecast):
    """One linear map from a window to the horizon for all targets, the last value subtracted.

    Zeng et al. 2023, "Are Transformers effective for time series forecasting?", section 4. Its sum
    of two linear maps is one; here it is the least-squares one, found without steps.
    """

    def __init__(self, scaling: PanelScaling, config: Any) -> None:
        super().__init__(scaling, config)
        self.weights = np.zeros((linear_rows(config.context), config.horizon))

    def fit(self, examples: Examples) -> None:
        self.weights = linear_map(examples, self.scaling, self.config)
        super().fit(examples)

    def points(self, history: np.ndarray) -> np.ndarray:
        last = history[:, -1:]
        seen = (history - last)[:, -len(self.weights) :]
        return last + np.einsum("wlc,lh->whc", seen, self.weights, optimize=True)

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "weights": self.weights}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        super().restore(state)
        self.weights = state["weights"]


def linear_rows(context: int) -> int:
    """How many of a window's last rows a linear map reads: more of them fit worse than fewer."""
    return min(context, 336)


def linear_map(examples: Examples, scaling: PanelScaling, config: Any) -> np.ndarray:
    """The linear map from a window to the horizon with the least squared error, slightly ridged.

    Args:
        examples: windows to learn from; very many are thinned.
        scaling: knows means and deviations of the training rows.
        config: names `context` and `horizon`.

    Returns:
        `(rows, horizon)`, for windows less their last value.
    """
    context, horizon = config.context, config.horizon
    rows = linear_rows(context)
    targets = len(scaling.means[SERIES])
    chosen = spread(len(examples), max(_FITTED // targets, 100))
    size = max(_PIECE // (targets * (rows + horizon)), 1)
    squares, products = np.zeros((rows, rows)), np.zeros((rows, horizon))
    for start in range(0, len(chosen), size):
        seen, said = [], []
        for number in chosen[start : start + size]:
            one, first = examples[SERIES][number], int(examples[START][number]) + context
            seen.append(one.targets[first - rows : first])
            said.append(windows.ahead(one, first - context, context, horizon))
        history = scaling.of(SERIES, np.stack(seen)).astype(np.float64)
        last = history[:, -1:]
        # So that large series do not decide alone, each window counts by its own deviation.
        scale = np.maximum(history.std(1, keepdims=True), 1e-3) if any(scaling.errors) else 1.0
        history = ((history - last) / scale).transpose(0, 2, 1).reshape(-1, rows)
        ahead = (scaling.of(SERIES, np.stack(said)) - last) / scale
        ahead = ahead.transpose(0, 2, 1).reshape(-1, horizon)
        whole = np.isfinite(ahead).all(1)
        squares += history[whole].T @ history[whole]
        products += history[whole].T @ ahead[whole]
    ridge = _RIDGE * max(np.trace(squares) / rows, 1e-12)
    return np.linalg.solve(squares + ridge * np.eye(rows), products)


def spread(count: int, most: int) -> np.ndarray:
    """Numbers from 0 to below `count`, evenly spread, at most so many of them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
