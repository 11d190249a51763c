"""What is known of markets without a network: persistence, history, EWMA, HAR and GARCH.

Each says, of every row of a series, the centre and the scale of what comes after it, from that row
and those before it. The quantiles of what training windows had, less the centre and divided by the
scale, are the shape.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from apps import environment
from apps.components import Baseline
from apps.data import Examples
from apps.data.panels.series import TimeSeries
from apps.data.panels.windows import SERIES, START, ahead
from apps.layers.panel_scaling import PanelScaling
from apps.layers.price_features import MONTH, WEEK, PriceFeatures, row_variance
from apps.tasks.quantiles.baselines import spread
from apps.tasks.quantiles.config import MEDIAN

# RiskMetrics 1996, for days.
_DECAY = 0.94
# Rows of history whose quantiles are taken, and those that are enough.
_HISTORY, _ENOUGH = 500, 60
# Windows to fit on, and series and rows that GARCH is fitted to.
_FITTED, _SERIES, _ROWS = 50_000, 20, 10_000
_FEWEST = 100
# Persistence of GARCH at most, so that there is a variance in the long run.
_MOST = 0.9999

Path = tuple[np.ndarray, ...]


class Market:
    """Returns and variances of series, as baselines see them.

    Args:
        features: knows which quotes there are and the least variance.
        scaling: of the target.
        config: names `context`, `horizon`, `target` and the levels.
    """

    def __init__(self, features: PriceFeatures, scaling: PanelScaling, config: Any) -> None:
        self.features, self.scaling, self.config = features, scaling, config
        self.names = list(features.channels["targets"])

    @property
    def returns_asked(self) -> bool:
        """Whether the target is a return."""
        return self.config.target == "return"

    def level(self, one: TimeSeries) -> np.ndarray:
        """Logarithm of the close, `(rows,)`."""
        return np.log(one.past[:, self.names.index("close")])

    def returns(self, one: TimeSeries) -> np.ndarray:
        """Of each row, `(rows,)`; 0 for the first."""
        return np.diff(self.level(one), prepend=self.level(one)[:1])

    def variance(self, one: TimeSeries) -> np.ndarray:
        """Estimated from each row alone, `(rows,)`; that of the first is the second's."""
        quotes = {name: one.past[None, :, i] for i, name in enumerate(self.names)}
        found = np.asarray(row_variance(quotes))[0]
        return np.concatenate([found[:1], found])

    def volatility(self, variance: np.ndarray) -> np.ndarray:
        """Logarithm of a volatility."""
        return 0.5 * np.log(variance + self.features.least)

    def volatility_ahead(self, one: TimeSeries) -> np.ndarray:
        """Logarithm of the volatility of the rows of the horizon after each row, NaN at the end."""
        horizon = self.config.horizon
        sums = np.cumsum(self.variance(one))
        mean = np.full(len(sums), np.nan)
        mean[:-horizon] = np.maximum(sums[horizon:] - sums[:-horizon], 0.0) / horizon
        return self.volatility(mean)

    def last_rows(self, examples: Examples, path: Callable[[TimeSeries], Path]) -> Path:
        """What a path of each series has at the last known row of each window, `(windows, …)`."""
        paths: dict[int, Path] = {}
        found = []
        last = self.config.context - 1
        for one, start in zip(examples[SERIES], examples[START], strict=True):
            if id(one) not in paths:
                paths[id(one)] = path(one)
            found.append(tuple(values[int(start) + last] for values in paths[id(one)]))
        return tuple(np.array(values) for values in zip(*found, strict=True))

    def outcomes(self, examples: Examples) -> np.ndarray:
        """What came, `(windows,)`; NaN where it is not known."""
        sizes = (self.config.context, self.config.horizon)
        pairs = zip(examples[SERIES], examples[START], strict=True)
        return np.array([ahead(one, int(start), *sizes)[-1, 0] for one, start in pairs])


class MarketBaseline(Baseline):
    """A centre and a scale at each row, and the shape around them; standardised as the model's.

    Args:
        market: what series are.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.levels = np.array(market.config.probabilities)
        self.shape = np.zeros(len(self.levels))
        self._paths: dict[int, tuple[Path, TimeSeries]] = {}

    @abstractmethod
    def path(self, one: TimeSeries) -> Path:
        """Centre and scale of what comes after each row, `(rows,)` each."""

    def learn(self, examples: Examples) -> None:
        """Fit what `path` needs; nothing unless overridden."""

    def fit(self, examples: Examples) -> None:
        chosen = examples.select(spread(len(examples), _FITTED))
        self._paths.clear()
        self.learn(chosen)
        centre, scale = self._at(chosen)
        shape = (self.market.outcomes(chosen) - centre) / scale
        shape = shape[np.isfinite(shape)]
        if len(shape):
            self.shape = np.quantile(shape, self.levels)

    def predict(self, examples: Examples) -> np.ndarray:
        centre, scale = self._at(examples)
        return self.standardised(centre[:, None] + scale[:, None] * self.shape)

    def standardised(self, quantiles: np.ndarray) -> np.ndarray:
        """`(windows, 1, 1, levels)` of quantiles in their own unit, `(windows, levels)`."""
        scaled = self.market.scaling.of(SERIES, quantiles[..., None])[..., 0]
        return scaled.astype(np.float64)[:, None, None]

    def _at(self, examples: Examples) -> Path:
        """Centre and scale of windows, `(windows,)` each."""
        return self.market.last_rows(examples, self._known)

    def _known(self, one: TimeSeries) -> Path:
        """The path of a series, made once."""
        if id(one) not in self._paths:
            # The series is held too, so that no other one gets its number.
            self._paths[id(one)] = (self.path(one), one)
        return self._paths[id(one)][0]

    def state(self) -> dict[str, np.ndarray]:
        return {"shape": self.shape}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._paths.clear()
        self.shape = state["shape"]


class Persistence(MarketBaseline):
    """Of a price, that it stays where it is; of a volatility, that it stays what it was."""

    def fit(self, examples: Examples) -> None:
        super().fit(examples)
        if self.market.returns_asked:
            self.shape = self.shape - np.interp(MEDIAN, self.levels, self.shape)

    def path(self, one: TimeSeries) -> Path:
        rows = len(one.times)
        centre = np.zeros(rows) if self.market.returns_asked else one.targets[:, 0]
        return centre, np.ones(rows)


class History(MarketBaseline):
    """The quantiles of what the last rows had; those of the training rows where there are few."""

    def path(self, one: TimeSeries) -> Path:
        return np.zeros(len(one.times)), np.ones(len(one.times))

    def predict(self, examples: Examples) -> np.ndarray:
        found = np.repeat(self.shape[None], len(examples), 0)
        context = self.market.config.context
        for number, (one, start) in enumerate(zip(examples[SERIES], examples[START], strict=True)):
            rows = slice(max(int(start) + context - _HISTORY, 0), int(start) + context)
            known = one.targets[rows][one.observed[rows]]
            if len(known) >= _ENOUGH:
                found[number] = np.quantile(known, self.levels)
        return self.standardised(found)


class Ewma(MarketBaseline):
    """The exponentially weighted mean of squared returns or of variances."""

    def path(self, one: TimeSeries) -> Path:
        market = self.market
        if market.returns_asked:
            variance = _weighted(market.returns(one) ** 2, 1 - _DECAY, _DECAY)
            return np.zeros(len(variance)), np.exp(market.volatility(variance))
        variance = _weighted(market.variance(one), 1 - _DECAY, _DECAY)
        return market.volatility(variance), np.ones(len(variance))


class Har(MarketBaseline):
    """Linear in a day, its week and its month.

    Corsi 2009, "A simple approximate long-memory model of realized volatility", in logarithms. Of
    returns it gives the scale; of an index that returns to a mean, as those of volatility do, it
    gives the centre from the level of the index.
    """

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self.weights = np.zeros(4)

    @property
    def _of_level(self) -> bool:
        return self.market.returns_asked and self.market.features.level

    def _terms(self, one: TimeSeries) -> np.ndarray:
        """`(rows, 4)`: one, and the mean over a day, a week and a month."""
        market = self.market
        if self._of_level:
            level = market.level(one)
            terms = [_mean(level, size) for size in (1, WEEK, MONTH)]
        else:
            variance = market.variance(one)
            terms = [market.volatility(_mean(variance, size)) for size in (1, WEEK, MONTH)]
        return np.stack([np.ones(len(terms[0])), *terms], 1)

    def learn(self, examples: Examples) -> None:
        market = self.market
        (terms,) = market.last_rows(examples, lambda one: (self._terms(one),))
        wanted = market.outcomes(examples)
        if market.returns_asked and not self._of_level:
            (later,) = market.last_rows(examples, lambda one: (market.volatility_ahead(one),))
            wanted = np.where(np.isfinite(wanted), later, np.nan)
        there = np.isfinite(wanted)
        if there.any():
            self.weights = np.linalg.lstsq(terms[there], wanted[there], rcond=None)[0]

    def path(self, one: TimeSeries) -> Path:
        said = self._terms(one) @ self.weights
        if self.market.returns_asked and not self._of_level:
            return np.zeros(len(said)), np.exp(said)
        return said, np.ones(len(said))

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "weights": self.weights}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        super().restore(state)
        self.weights = state["weights"]


class Garch(MarketBaseline):
    """GARCH(1,1) of returns (Bollerslev 1986), fitted to training rows and followed after them."""

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        # Of each series that was fitted: mean, omega, alpha, beta. The last row is for others,
        # its omega a share of the variance of their first rows.
        self.names = np.zeros(0, "U1")
        self.parameters = np.array([[0.0, 1 - 0.99, 0.06, 0.93]])

    def learn(self, examples: Examples) -> None:
        series = list({id(one): one for one in examples[SERIES]}.values())
        chosen = [series[number] for number in spread(len(series), _SERIES)]
        names, found, shares = [], [], []
        for one in chosen:
            returns = self.market.returns(one)[1 : one.last][-_ROWS:]
            fitted = _fitted(returns)
            if fitted is not None:
                names.append(one.name)
                found.append(fitted)
                shares.append([0.0, fitted[1] / np.var(returns), *fitted[2:]])
        if not found:
            environment.say("GARCH(1,1) could not be fitted; usual parameters are taken")
            return
        self.names = np.array(names)
        self.parameters = np.array([*found, np.median(shares, 0)])

    def path(self, one: TimeSeries) -> Path:
        returns = self.market.returns(one)
        own = np.flatnonzero(self.names == one.name)
        mean, omega, alpha, beta = self.parameters[own[0] if len(own) else -1]
        first = returns[1 : 1 + _HISTORY]
        start = float(np.mean(first**2)) or 1e-8
        if not len(own):
            omega *= start
        shocks = (returns - mean) ** 2
        shocks[0] = start
        # The variance of the next row, known at each row.
        ahead_one = _weighted(omega + alpha * shocks, 1.0, beta, omega / (1 - beta))
        horizon, kept = self.market.config.horizon, min(alpha + beta, _MOST)
        long_run = omega / (1 - kept)
        total = horizon * long_run + (ahead_one - long_run) * (1 - kept**horizon) / (1 - kept)
        if self.market.returns_asked:
            return np.full(len(total), mean * horizon), np.sqrt(total)
        return self.market.volatility(total / horizon), np.ones(len(total))

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "names": self.names, "parameters": self.parameters}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        super().restore(state)
        self.names, self.parameters = state["names"], state["parameters"]


def _fitted(returns: np.ndarray) -> np.ndarray | None:
    """Mean, omega, alpha and beta that are most likely; None where there is nothing to fit."""
    from arch import arch_model

    spread_ = float(np.std(returns)) if len(returns) >= _FEWEST else 0.0
    if spread_ <= 0:
        return None
    model = arch_model(returns / spread_, vol="GARCH", p=1, q=1, dist="t", rescale=False)
    fit = model.fit(disp="off", show_warning=False)
    mean, omega, alpha, beta = (float(value) for value in fit.params[:4])
    found = np.array([mean * spread_, omega * spread_**2, alpha, beta])
    usable = np.isfinite(found).all() and omega > 0 and beta < 1
    return found if usable else None


def _weighted(
    values: np.ndarray, share: float, decay: float, start: float | None = None
) -> np.ndarray:
    """`y[t] = share * values[t] + decay * y[t - 1]`, `(rows,)`."""
    from scipy.signal import lfilter

    before = values[: min(len(values), MONTH)].mean() if start is None else start
    return lfilter([share], [1, -decay], values, zi=[decay * before])[0]


def _mean(values: np.ndarray, size: int) -> np.ndarray:
    """Mean of each value and those before it, of fewer at the beginning, `(rows,)`."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    rows = np.arange(1, len(values) + 1)
    return (sums[rows] - sums[np.maximum(rows - size, 0)]) / np.minimum(rows, size)
