"""Logistic regression on n-grams weighted by naive Bayes: the linear part of a text classifier."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from apps.components import Baseline
from apps.layers.ngrams import NgramLogits
from apps.layers.text import WordIds

if TYPE_CHECKING:
    from apps.data import Examples

# Three-fold accuracy on the IMDB training reviews with n-grams up to 3: 0.918 at 100 and 300; 0.916
# without dividing by the root of their number.
_INVERSE_PENALTY = 100.0
_FOLDS = 5


@dataclass(frozen=True)
class NgramModel:
    """A fitted linear model of n-grams, and the correction of its optimism on training rows.

    Attributes:
        layer: gives its logits inside the graph.
        correction: `(rows, classes)` float32. Added to the layer's logits of the training rows, it
            gives the logits of models that were fitted without those rows. The layers trained on
            top then see the linear part as good as it will be on other texts, and not better
            (Wolpert 1992, "Stacked generalization").
    """

    layer: NgramLogits
    correction: np.ndarray


class NgramsAlone(Baseline):
    """The model's linear part alone; the difference shows what the LSTM adds.

    Args:
        words: gives the ids of texts.
        layer: the linear part, already fitted.
    """

    def __init__(self, words: WordIds, layer: NgramLogits) -> None:
        self.words, self.layer = words, layer

    def fit(self, examples: Examples) -> None:
        """Do nothing: the layer was fitted before the model was built."""

    def predict(self, examples: Examples) -> np.ndarray:
        table, bias = self.layer.get_weights()
        features = self.layer.features(*self.words.flat(examples["text"]))
        return np.asarray(features @ table[:-1] + bias)

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Do nothing: the layer is saved in the model."""


def fit_ngrams(
    ids: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray,
    *,
    order: int,
    most_weights: int,
    seed: int,
) -> NgramModel:
    """Fit a linear model to the n-grams of texts.

    The model is a logistic regression. With two classes, each n-gram is first weighted by its
    log-count ratio between them (Wang & Manning 2012, "Baselines and bigrams", section 2).

    Args:
        ids: `(words,)` int32, word ids of all texts end to end.
        offsets: `(texts + 1,)` int64.
        targets: `(texts,)` int, index of the class; each class occurs.
        order: n-grams have 1 up to this many words.
        most_weights: largest size of the table, which is rows × classes.
        seed: seeds the solver and the folds.

    Returns:
        The model; its logits are scaled so that they are calibrated on held-out rows.
    """
    classes = int(targets.max()) + 1
    wanted = 2 ** math.ceil(math.log2(max(order * len(ids), 2)))
    allowed = 2 ** int(math.log2(max(most_weights / classes, 2)))
    layer = NgramLogits(classes, order, min(allowed, wanted), name="ngrams")
    layer.build((None, None))
    features = layer.features(ids, offsets)
    held_out = _held_out_logits(features, targets, classes, seed)
    if held_out is None:
        return NgramModel(layer, np.zeros((len(targets), classes), np.float32))
    table, bias = _fit(features, targets, classes, seed)
    scale = _calibrating_scale(held_out, targets)
    layer.set_weights([np.pad(table * scale, [(0, 1), (0, 0)]), bias * scale])
    correction = scale * (held_out - (features @ table + bias))
    return NgramModel(layer, correction.astype(np.float32))


def _held_out_logits(
    features: Any, targets: np.ndarray, classes: int, seed: int
) -> np.ndarray | None:
    """Logits `(rows, classes)`, each row's from a model fitted to the other folds.

    None if no class has two rows, one to fit on and one to hold out.
    """
    folds = min(_FOLDS if classes <= _FOLDS else 2, int(np.bincount(targets).max()))
    if folds < 2:
        return None
    logits = np.zeros((features.shape[0], classes), np.float32)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer rows than folds is missing from some folds, which does no harm.
        warnings.simplefilter("ignore", UserWarning)
        parts = list(splits.split(targets, targets))
    for kept, left in parts:
        table, bias = _fit(features[kept], targets[kept], classes, seed)
        logits[left] = features[left] @ table + bias
    return logits


def _fit(
    features: Any, targets: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Table `(n-grams, classes)` and bias `(classes,)`, each class against the rest."""
    table = np.zeros((features.shape[1], classes), np.float32)
    bias = np.zeros(classes, np.float32)
    for label in range(classes) if classes > 2 else (1,):
        # With ratios against a mixture of classes, accuracy on five star classes of 3,000 reviews
        # was 0.55, without them 0.61; with two classes, ratios are better.
        column, intercept = _fit_one(features, targets == label, seed, weighted=classes == 2)
        if classes > 2:
            table[:, label], bias[label] = column, intercept
        else:
            table[:], bias[:] = np.stack([-column, column], 1) / 2, (-intercept / 2, intercept / 2)
    return table, bias


def _fit_one(
    features: Any, positive: np.ndarray, seed: int, *, weighted: bool
) -> tuple[np.ndarray, float]:
    """Weights `(n-grams,)` and intercept of one class against the rest."""
    if positive.all() or not positive.any():
        log_odds = np.log((positive.sum() + 0.5) / (len(positive) - positive.sum() + 0.5))
        return np.zeros(features.shape[1], np.float32), float(log_odds)
    ratio = (
        _log_count_ratio(features, positive) if weighted else np.ones(features.shape[1], np.float32)
    )
    regression = LogisticRegression(
        C=_INVERSE_PENALTY, solver="liblinear", dual=True, max_iter=50, tol=0.01, random_state=seed
    )
    with warnings.catch_warnings():
        # The last digits of the weights do not matter; a bounded time does.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(features.multiply(ratio[None, :]).tocsr(), positive)
    return (regression.coef_[0] * ratio).astype(np.float32), float(regression.intercept_[0])


def _log_count_ratio(features: Any, positive: np.ndarray) -> np.ndarray:
    """`(n-grams,)` log ratio of each n-gram's smoothed shares in positive and other rows."""
    chosen = 1.0 + np.asarray(features[positive].sum(0)).ravel()
    rest = 1.0 + np.asarray(features[~positive].sum(0)).ravel()
    return np.log((chosen / chosen.sum()) / (rest / rest.sum())).astype(np.float32)


def _calibrating_scale(logits: np.ndarray, targets: np.ndarray) -> float:
    """The factor on the logits that minimises cross-entropy (Guo et al. 2017, section 4.2)."""
    rows = np.arange(len(targets))

    def loss(log_scale: float) -> float:
        return -float(log_softmax(np.exp(log_scale) * logits, -1)[rows, targets].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-5.0, 3.0), method="bounded").x))
