"""Bag of words with logistic regression: the linear baseline of text classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from apps.components import Baseline

if TYPE_CHECKING:
    from apps.data import Examples


class BagOfWords(Baseline):
    """Logistic regression on tf-idf of words and word pairs (scikit-learn).

    Args:
        labels: the classes, in the order of the model's logits.
        seed: seeds the solver.
        most_terms: how many of the most frequent words and pairs are kept.
    """

    def __init__(self, labels: Sequence[str], seed: int, most_terms: int = 500_000) -> None:
        self.labels = tuple(labels)
        self.seed = seed
        self.most_terms = most_terms
        self._terms: list[str] = []

    def _vectorizer(self, vocabulary: Sequence[str] | None = None) -> TfidfVectorizer:
        return TfidfVectorizer(
            ngram_range=(1, 2),
            token_pattern=r"(?u)\b\w[\w']*\b|[^\w\s]",
            sublinear_tf=True,
            max_features=None if vocabulary else self.most_terms,
            vocabulary=vocabulary,
            dtype=np.float32,
        )

    def fit(self, examples: Examples) -> None:
        vectorizer = self._vectorizer()
        features = vectorizer.fit_transform(examples["text"])
        regression = LogisticRegression(C=10.0, max_iter=200, random_state=self.seed)
        index = {label: i for i, label in enumerate(self.labels)}
        regression.fit(features, [index[label] for label in examples["label"]])
        weights, bias = regression.coef_, regression.intercept_
        if len(self.labels) == 2:
            weights, bias = (
                np.vstack([-weights / 2, weights / 2]),
                np.concatenate([-bias / 2, bias / 2]),
            )
        self._terms = vectorizer.get_feature_names_out().tolist()
        self._idf, self._weights, self._bias = vectorizer.idf_, weights.T.astype(np.float32), bias

    def predict(self, examples: Examples) -> np.ndarray:
        vectorizer = self._vectorizer(self._terms)
        vectorizer.idf_ = self._idf
        return np.asarray(vectorizer.transform(examples["text"]) @ self._weights + self._bias)

    def state(self) -> dict[str, np.ndarray]:
        terms = "\n".join(self._terms).encode()
        return {
            "terms": np.frombuffer(terms, np.uint8),
            "idf": self._idf.astype(np.float32),
            "weights": self._weights,
            "bias": self._bias,
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._terms = state["terms"].tobytes().decode().split("\n")
        self._idf, self._weights, self._bias = state["idf"], state["weights"], state["bias"]
