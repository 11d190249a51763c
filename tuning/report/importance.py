"""How much of the difference between trials each hyperparameter explains, and how surely.

A random forest learns the scores. When one hyperparameter's values are exchanged between trials,
the forest's error grows on trials that a tree has not seen (Breiman 2001). This growth over twice
the variance of the scores estimates the hyperparameter's total Sobol index (Gregorutti, Michel &
Saint-Pierre 2017), and is its share. Since the error is one of prediction, a hyperparameter without
effect gets nothing on average, which is not true of a forest's own split counts.

Scores enter as ranks, so that one diverged trial does not make up the whole variance. With
Hyperband each configuration counts once, at its first rung, ranked among those trained for the same
number of epochs. Later rungs hold only configurations that did well before, and their scores are
higher because they trained longer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.report.quantities import finite
from tuning.record import TrialRow
from tuning.report.columns import columns

FEWEST = 10
_FEWEST_ALIKE = 3
_TREES = 200
_EXCHANGES = 5
_RESAMPLES = 1000
# Trees share trials, so that their errors vary together, which resampling does not show. A bag
# holds 0.632 of the trials; the variance grows by the ratio of trials tested to trials learnt from
# (Nadeau & Bengio 2003).
_WIDER = math.sqrt(1 + 0.368 / 0.632)


@dataclass(frozen=True)
class Importance:
    """What one hyperparameter explains.

    Attributes:
        name: of the column: `units` of the first layer, `units_2` of the second, ….
        share: of the variance of the ranks, 0 to 1. Shares add up to more than 1 where
            hyperparameters act together, and to less where trials are few.
        low, high: 95 % bootstrap interval over trials.
    """

    name: str
    share: float
    low: float
    high: float


def importances(rows: Sequence[TrialRow], maximise: bool, seed: int = 0) -> list[Importance]:
    """The shares of all hyperparameters that differ between trials.

    Args:
        rows: trials; those without a score are left out.
        maximise: whether a larger score is the better one.
        seed: of forest, exchanges and resampling; the same rows and seed give the same shares.

    Returns:
        Largest share first; empty where `obstacle` gives a reason.
    """
    if obstacle(rows):
        return []
    compared, ranks = _ranked(rows, maximise)
    tables = [columns(row.values) for row in compared]
    generator = np.random.default_rng(seed)
    names, features, active = _features(tables, generator)
    growth, variance = _growth_of_error(features, active, ranks, seed, generator)
    share = growth.mean(axis=1) / (2 * variance.mean())
    drawn = generator.integers(0, growth.shape[1], (_RESAMPLES, growth.shape[1]))
    spread = np.array([_variance(variance, trials) for trials in drawn])
    resampled = growth[:, drawn].mean(axis=2) / (2 * spread)
    low, high = (
        share + _WIDER * (end - share) for end in np.percentile(resampled, [2.5, 97.5], axis=1)
    )
    # A share is at least 0; an estimate below it means that nothing was found.
    found = [
        Importance(name, *(float(np.clip(v, 0.0, 1.0)) for v in figures))
        for name, *figures in zip(names, share, low, high, strict=True)
    ]
    return sorted(found, key=lambda importance: (-importance.share, importance.name))


def obstacle(rows: Sequence[TrialRow]) -> str:
    """Why `importances` has nothing to say about these rows; empty where it has."""
    compared = _comparable(rows)
    if len(compared) < FEWEST:
        return f"It takes {FEWEST} completed trials that compare; so far there are {len(compared)}."
    if len({row.score for row in compared}) == 1:
        return "All trials have the same score: there is nothing to explain."
    if not _varied([columns(row.values) for row in compared]):
        return "No hyperparameter differs between the trials."
    return ""


def _comparable(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Trials that were trained alike, each configuration once."""
    scored = [row for row in rows if finite(row.score) and row.continues is None]
    if not _has_rungs(rows):
        return scored
    alike = Counter(row.epochs for row in scored)
    return [row for row in scored if alike[row.epochs] >= _FEWEST_ALIKE]


def _has_rungs(rows: Sequence[TrialRow]) -> bool:
    return any(row.round is not None for row in rows)


def _ranked(rows: Sequence[TrialRow], maximise: bool) -> tuple[list[TrialRow], np.ndarray]:
    """Trials that compare, and the rank of each among those trained alike, 0 worst to 1 best."""
    from scipy.stats import rankdata

    compared = _comparable(rows)
    kinds = [row.epochs if _has_rungs(rows) else 0 for row in compared]
    scores = np.array([row.score for row in compared], np.float64) * (1 if maximise else -1)
    ranks = np.empty(len(compared))
    for kind in set(kinds):
        alike = np.array([other == kind for other in kinds])
        ranks[alike] = (rankdata(scores[alike]) - 0.5) / alike.sum()
    return compared, ranks


def _varied(tables: Sequence[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for table in tables for name in table)
    return [name for name in names if len({str(t[name]) for t in tables if name in t}) > 1]


def _features(
    tables: Sequence[dict[str, Any]], generator: np.random.Generator
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, values `(trials, names)`, and where they are active.

    A tree splits at any value, so that neither scale nor unit matters. An inactive hyperparameter
    takes one of the active values at random. With a constant the forest could see that it is
    inactive, and would credit the second layer's width with the effect of the second layer.
    """
    names = _varied(tables)
    features = np.empty((len(tables), len(names)))
    active = np.array([[name in table for name in names] for table in tables])
    for column, name in enumerate(names):
        values = [table[name] for table in tables if name in table]
        if not all(isinstance(value, (bool, int, float)) for value in values):
            order = sorted({str(value) for value in values})
            values = [order.index(str(value)) for value in values]
        there = active[:, column]
        features[there, column] = np.array(values, np.float64)
        features[~there, column] = generator.choice(features[there, column], (~there).sum())
    return names, features, active


def _growth_of_error(
    features: np.ndarray,
    active: np.ndarray,
    ranks: np.ndarray,
    seed: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """How much exchanging a column's values raises the squared error of out-of-bag means.

    Returns:
        Growth `(names, trials)`, and the squared distance of each trial's rank from their mean
        `(trials,)`.
    """
    from sklearn.ensemble import RandomForestRegressor

    trials, width = features.shape
    forest = RandomForestRegressor(_TREES, random_state=seed).fit(features, ranks)
    versions = _exchanged(features, active, generator)
    total, seen = np.zeros((len(versions), trials)), np.zeros(trials)
    for tree, bag in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        out = np.setdiff1d(np.arange(trials), bag)
        if len(out):
            answers = tree.predict(versions[:, out].reshape(-1, width))
            total[:, out] += answers.reshape(len(versions), -1)
            seen[out] += 1
    used = seen > 0
    errors = (ranks[used] - total[:, used] / seen[used]) ** 2
    exchanged = errors[1:].reshape(width, _EXCHANGES, -1).mean(axis=1)
    return exchanged - errors[0], (ranks[used] - ranks[used].mean()) ** 2


def _exchanged(
    features: np.ndarray, active: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The features, then again with each column shuffled among the trials where it is active.

    Returns:
        Float `(1 + names * exchanges, trials, names)`.
    """
    width = features.shape[1]
    versions = np.repeat(features[None], 1 + width * _EXCHANGES, axis=0)
    for column in range(width):
        there = np.flatnonzero(active[:, column])
        for exchange in range(_EXCHANGES):
            shuffled = generator.permutation(features[there, column])
            versions[1 + column * _EXCHANGES + exchange, there, column] = shuffled
    return versions


def _variance(squares: np.ndarray, trials: np.ndarray) -> float:
    """Variance of a resample of trials; of all trials where the resample has none."""
    return float(squares[trials].mean()) or float(squares.mean())
