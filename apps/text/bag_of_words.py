"""Bag of words with logistic regression: the linear baseline of text classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from apps import environment
from apps.components import Baseline
from apps.sampling import rows_within, with_each_label

if TYPE_CHECKING:
    from apps.data import Examples

# 25,000 reviews of 230 words have 33 million characters.
_MOST_ROWS, _MOST_CHARACTERS = 32_768, 50_000_000


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

    def _rows(self, examples: Examples) -> np.ndarray:
        """Rows that are fitted to within a minute or two, rising; one of each class among them."""
        texts = examples["text"]
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        rows = rows_within(np.ones_like(sizes), _MOST_ROWS, self.seed)
        rows = rows[rows_within(sizes[rows], _MOST_CHARACTERS, self.seed)]
        return with_each_label(rows, examples["label"])

    def fit(self, examples: Examples) -> None:
        """Learn from the rows, or from a draw of them where they are very many."""
        rows = self._rows(examples)
        if len(rows) < len(examples):
            environment.say(f"bag of words from {len(rows):,} of {len(examples):,} texts")
            examples = examples.select(rows)
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
