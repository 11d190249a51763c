"""Logistic regression on n-grams weighted by naive Bayes: the linear part of a text classifier."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from apps.components import Baseline
from apps.layers.ngrams import NgramLogits
from apps.layers.text import WordIds
from apps.text.many_ngrams import cross_fit

if TYPE_CHECKING:
    from apps.data import Examples

# Three-fold accuracy on the IMDB training reviews with n-grams up to 3: 0.918 at 100 and 300; 0.916
# without dividing by the root of their number.
_INVERSE_PENALTY = 100.0
# Where texts hold fewer n-grams in all, naive Bayes itself is mixed in and the penalty is larger.
# On two sets of 8,640 sentences, accuracy was 0.734 and 0.714 so, 0.724 and 0.705 as for many.
_FEW, _INVERSE_PENALTY_OF_FEW = 2_000_000, 30.0
_FOLDS = 5
# Of texts, and of n-grams in all fits. 25,000 reviews of 270 words have 20 million in each of six.
_MOST_ROWS, _MOST_NGRAMS = 32_768, 500_000_000

# Table `(n-grams, classes)` and bias `(classes,)`, from features, targets, classes and a seed.
Fit = Callable[[Any, np.ndarray, int, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class NgramModel:
    """A fitted linear model of n-grams, and the correction of its optimism on training rows.

    Attributes:
        loss: cross-entropy of rows that were held out, in nats.
        layer: gives its logits inside the graph.
        correction: `(rows, classes)` float32. Added to the layer's logits of the training rows, it
            gives the logits of models that were fitted without those rows. The layers trained on
            top then see the linear part as good as it will be on other texts, and not better
            (Wolpert 1992, "Stacked generalization").
    """

    loss: float
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
    log-count ratio between them (Wang & Manning 2012, "Baselines and bigrams", section 2). Where
    n-grams are few, its logits are mixed with those of naive Bayes, and the order may be one less,
    as is best for held-out rows. Where texts are very many, it is fitted by stochastic gradients.

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
    if _many(order * len(ids), len(targets), int(targets.max()) + 1):
        return _fit_many(ids, offsets, targets, order, most_weights, seed)
    few = order * len(ids) < _FEW
    fits = (_regression_of_few, _bayes) if few else (_regression,)
    orders = range(order, max(order - 2, 0), -1) if few else (order,)
    fitted = [_fit(ids, offsets, targets, one, most_weights, seed, fits) for one in orders]
    return min(fitted, key=lambda model: model.loss)


def _fit(
    ids: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray,
    order: int,
    most_weights: int,
    seed: int,
    fits: Sequence[Fit],
) -> NgramModel:
    """The sum of what several fits give, weighted by what is best for held-out rows."""
    classes = int(targets.max()) + 1
    layer = _layer(order * len(ids), classes, order, most_weights)
    features = layer.features(ids, offsets)
    if int(np.bincount(targets).max()) < 2:
        return NgramModel(math.inf, layer, np.zeros((len(targets), classes), np.float32))
    logits = np.stack([held_out_logits(features, targets, classes, seed, fit) for fit in fits])
    shares, loss = calibrating_shares(logits, targets)
    parts = [fit(features, targets, classes, seed) for fit in fits]
    table, bias = (
        sum(share * part[i] for share, part in zip(shares, parts, strict=True)) for i in (0, 1)
    )
    layer.set_weights([np.pad(table, [(0, 1), (0, 0)]), bias])
    correction = np.tensordot(shares, logits, 1) - (features @ table + bias)
    return NgramModel(loss, layer, correction.astype(np.float32))


def _many(ngrams: int, rows: int, classes: int) -> bool:
    """Whether the exact fits to all folds would take minutes."""
    if ngrams < _FEW:
        return False
    fits = (classes if classes > 2 else 1) * (1 + (_FOLDS if classes <= _FOLDS else 2))
    return rows > _MOST_ROWS or ngrams * fits > _MOST_NGRAMS


def _fit_many(
    ids: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray,
    order: int,
    most_weights: int,
    seed: int,
) -> NgramModel:
    classes = int(targets.max()) + 1
    layer = _layer(order * len(ids), classes, order, most_weights)
    found = cross_fit(layer, ids, offsets, targets, seed=seed)
    (share,), loss = calibrating_shares(found.held_out[None], targets[found.rows])
    layer.set_weights([np.pad(share * found.table, [(0, 1), (0, 0)]), share * found.bias])
    # A row that was not fitted to needs no correction.
    correction = np.zeros((len(targets), classes), np.float32)
    correction[found.rows] = share * (found.held_out - found.fitted)
    return NgramModel(loss, layer, correction)


def _layer(ngrams: int, classes: int, order: int, most_weights: int) -> NgramLogits:
    """The layer for at most so many n-grams, its weights zeros."""
    wanted = 2 ** math.ceil(math.log2(max(ngrams, 2)))
    allowed = 2 ** int(math.log2(max(most_weights / classes, 2)))
    layer = NgramLogits(classes, order, min(allowed, wanted), name="ngrams")
    layer.build((None, None))
    return layer


def held_out_logits(
    features: Any, targets: np.ndarray, classes: int, seed: int, fit: Fit
) -> np.ndarray:
    """Logits `(rows, classes)`, each row's from a model fitted to the other folds.

    Some class has two rows, one to fit on and one to hold out.
    """
    folds = min(_FOLDS if classes <= _FOLDS else 2, int(np.bincount(targets).max()))
    logits = np.zeros((features.shape[0], classes), np.float32)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer rows than folds is missing from some folds, which does no harm.
        warnings.simplefilter("ignore", UserWarning)
        parts = list(splits.split(targets, targets))
    for kept, left in parts:
        table, bias = fit(features[kept], targets[kept], classes, seed)
        logits[left] = features[left] @ table + bias
    return logits


def _bayes(
    features: Any, targets: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial naive Bayes: logarithms of the smoothed shares that n-grams have in a class."""
    present = features.copy()
    present.data[:] = 1.0
    counts = np.stack(
        [np.asarray(present[targets == label].sum(0)).ravel() for label in range(classes)], 1
    )
    table = np.log((1.0 + counts) / (1.0 + counts).sum(0))
    table = (table - table.mean(1, keepdims=True)) * (counts.sum(1, keepdims=True) > 0)
    prior = np.log(np.maximum(np.bincount(targets, minlength=classes), 0.5) / len(targets))
    return table.astype(np.float32), (prior - prior.mean()).astype(np.float32)


def _regression_of_few(
    features: Any, targets: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    return _regression(features, targets, classes, seed, _INVERSE_PENALTY_OF_FEW)


def _regression(
    features: Any,
    targets: np.ndarray,
    classes: int,
    seed: int,
    inverse_penalty: float = _INVERSE_PENALTY,
) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression, each class against the rest."""
    table = np.zeros((features.shape[1], classes), np.float32)
    bias = np.zeros(classes, np.float32)
    for label in range(classes) if classes > 2 else (1,):
        # With ratios against a mixture of classes, accuracy on five star classes of 3,000 reviews
        # was 0.55, without them 0.61; with two classes, ratios are better.
        column, intercept = _fit_one(
            features, targets == label, seed, inverse_penalty, weighted=classes == 2
        )
        if classes > 2:
            table[:, label], bias[label] = column, intercept
        else:
            table[:], bias[:] = np.stack([-column, column], 1) / 2, (-intercept / 2, intercept / 2)
    return table, bias


def _fit_one(
    features: Any, positive: np.ndarray, seed: int, inverse_penalty: float, *, weighted: bool
) -> tuple[np.ndarray, float]:
    """Weights `(n-grams,)` and intercept of one class against the rest."""
    if positive.all() or not positive.any():
        log_odds = np.log((positive.sum() + 0.5) / (len(positive) - positive.sum() + 0.5))
        return np.zeros(features.shape[1], np.float32), float(log_odds)
    ratio = (
        _log_count_ratio(features, positive) if weighted else np.ones(features.shape[1], np.float32)
    )
    regression = LogisticRegression(
        C=inverse_penalty, solver="liblinear", dual=True, max_iter=50, tol=0.01, random_state=seed
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


def calibrating_shares(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, float]:
    """The factors that minimise the cross-entropy of a sum (Guo et al. 2017, section 4.2).

    Args:
        logits: `(parts, rows, classes)`.
        targets: `(rows,)`.

    Returns:
        The factors `(parts,)`, and the cross-entropy with them in nats.
    """
    rows = np.arange(len(targets))

    def loss(shares: np.ndarray) -> float:
        return -float(log_softmax(np.tensordot(shares, logits, 1), -1)[rows, targets].mean())

    found = minimize_scalar(
        lambda log_scale: loss(np.full(len(logits), np.exp(log_scale))),
        bounds=(-5.0, 3.0),
        method="bounded",
    )
    shares, least = np.full(len(logits), np.exp(found.x)), float(found.fun)
    if len(logits) > 1:
        several = minimize(loss, shares, bounds=[(0.0, 20.0)] * len(logits))
        shares, least = several.x, float(several.fun)
    return shares.astype(np.float32), least
