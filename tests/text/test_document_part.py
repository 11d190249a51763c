"""The linear model of what a text is about."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from apps.text.document_part import DocumentModel, fit_documents
from apps.text.naive_bayes import NgramModel, fit_ngrams

DRAW = np.random.default_rng(0)
VECTORS = np.concatenate([np.zeros((2, 4)), DRAW.normal(size=(40, 4))]).astype(np.float32)
TOWARDS = DRAW.normal(size=4)


def texts(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ids, offsets, means of the vectors, and whether these point to one side."""
    draw = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(draw.integers(1, 9, count))])
    ids = draw.integers(2, 42, offsets[-1]).astype(np.int32)
    means = np.stack([VECTORS[ids[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])
    return ids, offsets, means, (means @ TOWARDS > 0).astype(np.int64)


def fitted(ngrams: bool = False, classes: int = 2) -> tuple[DocumentModel, NgramModel | None]:
    ids, offsets, means, sides = texts(1)
    targets = sides if classes == 2 else sides + (means[:, 0] > 0)
    linear = None
    if ngrams:
        linear = fit_ngrams(ids, offsets, targets, order=1, most_weights=1 << 12, seed=0)
    return fit_documents(VECTORS, ids, offsets, targets, linear, seed=0), linear


def logits(table: np.ndarray, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return np.stack([table[ids[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])


def test_the_mean_of_its_rows_is_what_a_regression_on_means_answers() -> None:
    model, _ = fitted()
    ids, offsets, means, sides = texts(2)
    found = logits(model.table, ids, offsets)
    assert (found.argmax(1) == sides).mean() > 0.95
    _, _, known, targets = texts(1)
    # The weakest penalty suits a rule without exceptions.
    centre = known.mean(0)
    spread = np.sqrt(((known - centre) ** 2).mean())
    peer = LogisticRegression(C=0.1, max_iter=300).fit((known - centre) / spread, targets)
    expected = peer.decision_function((means - centre) / spread)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], expected, atol=1e-3)
    assert list(model.factors) == ["documents"]


def test_several_classes() -> None:
    ids, offsets, means, sides = texts(2)
    found = logits(fitted(classes=3)[0].table, ids, offsets)
    assert (found.argmax(1) == sides + (means[:, 0] > 0)).mean() > 0.7


def test_its_factors_make_the_sum_better_than_its_parts() -> None:
    model, ngrams = fitted(ngrams=True)
    assert ngrams is not None
    ids, offsets, _, targets = texts(3)
    table, bias = ngrams.layer.get_weights()
    parts = {
        "ngrams": np.asarray(ngrams.layer.features(ids, offsets) @ table[:-1] + bias),
        "documents": logits(model.table, ids, offsets),
    }
    mixed = np.sum([model.factors[name] * part for name, part in parts.items()], 0)

    def cross_entropy(of: np.ndarray) -> float:
        return -float(log_softmax(of, 1)[np.arange(len(targets)), targets].mean())

    assert cross_entropy(mixed) < min(map(cross_entropy, parts.values()))


def test_a_class_of_one_row_and_rows_of_one_class() -> None:
    ids, offsets, _, targets = texts(1, count=20)
    for classes in (np.where(np.arange(20) == 7, 2, targets), np.zeros(20, np.int64)):
        model = fit_documents(VECTORS, ids, offsets, classes, None, seed=0)
        assert np.isfinite(model.table).all()
        assert np.isfinite(list(model.factors.values())).all()
    each_its_own = fit_documents(VECTORS, ids[:3], np.arange(4), np.arange(3), None, seed=0)
    assert not each_its_own.table.any()
