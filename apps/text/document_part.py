"""What a text is about, as a part of a classifier: a linear model of its mean word vector."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from apps.sampling import joined, rows_within
from apps.text.naive_bayes import Fit, NgramModel, calibrating_shares, held_out_logits

_MOST_ROWS = 32_768
# Of a logistic regression on features whose mean square is 1.
_INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_ITERATIONS = 300


@dataclass(frozen=True)
class DocumentModel:
    """A fitted linear model of what texts are about.

    Attributes:
        table: `(ids, classes)` float32; the mean of its words' rows is the logits of a text.
        factors: of the logits of `ngrams`, if there are any, and of `documents` in their sum.
    """

    table: np.ndarray
    factors: dict[str, float]


def fit_documents(
    vectors: np.ndarray,
    ids: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray,
    ngrams: NgramModel | None,
    *,
    seed: int,
) -> DocumentModel:
    """Fit a logistic regression to the means of texts' word vectors.

    Args:
        vectors: of words, `(ids, dimension)` float32, learnt from texts without labels.
        ids: `(words,)` int32, word ids of all texts end to end, none of them empty.
        offsets: `(texts + 1,)` int64.
        targets: `(texts,)` int, index of the class; each class occurs.
        ngrams: the linear model of n-grams to whose logits its own are added.
        seed: seeds folds and sample.

    Returns:
        The model. Factors and penalty are those that are best for rows that were held out.
    """
    classes = int(targets.max()) + 1
    names = ["documents"] if ngrams is None else ["ngrams", "documents"]
    rows = rows_within(np.ones(len(targets), np.int64), _MOST_ROWS, seed)
    ids, offsets = joined(ids, offsets, rows)
    targets, lengths = targets[rows], np.diff(offsets)
    if int(np.bincount(targets).max()) < 2:
        nothing = np.zeros((len(vectors), classes), np.float32)
        return DocumentModel(nothing, dict.fromkeys(names, 1.0))
    shares = np.repeat(1 / lengths, lengths).astype(np.float32)
    means = sparse.csr_matrix((shares, ids, offsets), (len(rows), len(vectors))) @ vectors
    centre = means.mean(0)
    # One factor for all dimensions: those that tell less of the texts are penalised more.
    spread = max(float(np.sqrt(np.mean((means - centre) ** 2))), 1e-6)
    features = (means - centre) / spread
    parts = []
    if ngrams is not None:
        weights, bias = ngrams.layer.get_weights()
        known = ngrams.layer.features(ids, offsets) @ weights[:-1] + bias
        parts.append(known + ngrams.correction[rows])

    tried = []
    for inverse_penalty in _INVERSE_PENALTIES:
        fit = _regression(inverse_penalty)
        own = held_out_logits(features, targets, classes, seed, fit)
        tried.append((*calibrating_shares(np.stack([*parts, own]), targets), fit))
    factors, _, fit = min(tried, key=lambda one: one[1])
    weights, bias = fit(features, targets, classes, seed)
    # The mean of a constant is that constant.
    table = (vectors - centre) @ (weights / spread) + bias
    named = dict(zip(names, map(float, factors), strict=True))
    return DocumentModel(table.astype(np.float32), named)


def _regression(inverse_penalty: float) -> Fit:
    def fit(
        features: np.ndarray, targets: np.ndarray, classes: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        present = np.unique(targets)
        table = np.zeros((features.shape[1], classes), np.float32)
        # A class that is missing from a fold is not to be expected in it.
        bias = np.full(classes, -10.0, np.float32)
        if len(present) < 2:
            bias[present] = 0.0
            return table, bias
        model = LogisticRegression(C=inverse_penalty, max_iter=_ITERATIONS, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, targets)
        if len(present) == 2:
            table[:, present] = np.stack([-model.coef_[0], model.coef_[0]], 1) / 2
            bias[present] = np.array([-model.intercept_[0], model.intercept_[0]]) / 2
        else:
            table[:, present], bias[present] = model.coef_.T, model.intercept_
        return table, bias

    return fit
